#include <immintrin.h>

#include "cpu/roof.h"
#include "cpu/roof_loops.h"

namespace lowbit::core::avx2 {

int64_t multiply_adds(int64_t rounds) {
  constexpr int kChains = 12;
  const __m256i b = _mm256_set1_epi16(-5);
  cpu::run_chains<kChains, __m256i>(rounds, _mm256_set1_epi16(3), [&](__m256i sum, __m256i a) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
  });
  return rounds * kChains * 16;
}

void read(const void* data, size_t size) { cpu::read_all<__m256i>(data, size); }

}  // namespace lowbit::core::avx2
