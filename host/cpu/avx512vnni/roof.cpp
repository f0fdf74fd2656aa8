#include <immintrin.h>

#include "cpu/read.h"
#include "cpu/roof.h"

namespace lowbit::core::avx512vnni {

int64_t multiply_adds(int64_t rounds) {
  constexpr int kChains = 16;
  __m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(-5), sums[kChains] = {};
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
    for (__m512i& sum : sums) {
      asm volatile("" : "+v"(a));  // a new operand, as far as the compiler knows
      sum = _mm512_dpbusd_epi32(sum, a, b);
    }
  }
#pragma GCC unroll 16
  for (__m512i& sum : sums) asm volatile("" : : "v"(sum));
  return rounds * kChains * 64;
}

void read(const void* data, size_t size) { cpu::read_all<__m512i>(data, size); }

}  // namespace lowbit::core::avx512vnni
