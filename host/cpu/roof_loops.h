// The loops of roof.h's functions, over an instruction set's vectors. Each file that includes this compiles a copy of its own.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__aarch64__)
#define LOWBIT_IN_VECTOR_REGISTER "w"
#else
#define LOWBIT_IN_VECTOR_REGISTER "v"
#endif

namespace lowbit::core::cpu {
namespace {

// `rounds` times sum = step(sum, a) for each of kChains sums, all of them in registers.
template <int kChains, typename Sum, typename Vector, typename Step>
void run_chains(int64_t rounds, Vector a, Step step) {
  static_assert(kChains <= 16);
  Sum sums[kChains] = {};
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
    for (Sum& sum : sums) {
      asm volatile("" : "+" LOWBIT_IN_VECTOR_REGISTER(a));  // a new operand, as far as the compiler knows
      sum = step(sum, a);
    }
  }
#pragma GCC unroll 16
  for (Sum& sum : sums) asm volatile("" : : LOWBIT_IN_VECTOR_REGISTER(sum));
}

// A plain read by loads of a vector.
template <typename Vector>
void read_all(const void* data, size_t size) {
  constexpr size_t kChains = 8;
  const auto* from = static_cast<const Vector*>(data);
  Vector sums[kChains] = {};
  for (size_t i = 0; i + kChains <= size / sizeof(Vector); i += kChains) {
#pragma GCC unroll 8
    for (size_t c = 0; c < kChains; ++c) sums[c] ^= from[i + c];
  }
#pragma GCC unroll 8
  for (Vector& sum : sums) asm volatile("" : : "m"(sum));
}

}  // namespace
}  // namespace lowbit::core::cpu

#undef LOWBIT_IN_VECTOR_REGISTER
