#include <immintrin.h>

#include "cpu/roof.h"
#include "cpu/roof_loops.h"

namespace lowbit::core::avx512vnni {

int64_t multiply_adds(int64_t rounds) {
  constexpr int kChains = 16;
  const __m512i b = _mm512_set1_epi8(-5);
  cpu::run_chains<kChains, __m512i>(rounds, _mm512_set1_epi8(3),
                                    [&](__m512i sum, __m512i a) { return _mm512_dpbusd_epi32(sum, a, b); });
  return rounds * kChains * 64;
}

void read(const void* data, size_t size) { cpu::read_all<__m512i>(data, size); }

}  // namespace lowbit::core::avx512vnni
