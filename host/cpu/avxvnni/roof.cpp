#include <immintrin.h>

#include "cpu/roof.h"

namespace lowbit::core::avxvnni {

int64_t multiply_adds(int64_t rounds) {
  constexpr int kChains = 12;
  __m256i a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(-5), sums[kChains] = {};
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (__m256i& sum : sums) {
      asm volatile("" : "+x"(a));  // a new operand, as far as the compiler knows
      sum = _mm256_dpbusd_avx_epi32(sum, a, b);
    }
  }
#pragma GCC unroll 12
  for (__m256i& sum : sums) asm volatile("" : : "x"(sum));
  return rounds * kChains * 32;
}

}  // namespace lowbit::core::avxvnni
