// A plain read by loads of a vector. Each file that includes this compiles a copy of its own.
#pragma once

#include <cstddef>

namespace lowbit::core::cpu {
namespace {

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
