#include <immintrin.h>

#include "cpu/roof.h"
#include "cpu/roof_loops.h"

namespace lowbit::core::avxvnni {

int64_t multiply_adds(int64_t rounds) {
  constexpr int kChains = 12;
  const __m256i b = _mm256_set1_epi8(-5);
  cpu::run_chains<kChains, __m256i>(rounds, _mm256_set1_epi8(3),
                                    [&](__m256i sum, __m256i a) { return _mm256_dpbusd_avx_epi32(sum, a, b); });
  return rounds * kChains * 32;
}

}  // namespace lowbit::core::avxvnni
