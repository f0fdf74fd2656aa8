#include <immintrin.h>

#include "cpu/read.h"
#include "cpu/roof.h"

namespace lowbit::core::avx2 {

int64_t multiply_adds(int64_t rounds) {
  constexpr int kChains = 12;
  __m256i a = _mm256_set1_epi16(3), b = _mm256_set1_epi16(-5), sums[kChains] = {};
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (__m256i& sum : sums) {
      asm volatile("" : "+x"(a));  // a new operand, as far as the compiler knows
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
    }
  }
#pragma GCC unroll 12
  for (__m256i& sum : sums) asm volatile("" : : "x"(sum));
  return rounds * kChains * 16;
}

void read(const void* data, size_t size) { cpu::read_all<__m256i>(data, size); }

}  // namespace lowbit::core::avx2
