// The float companion of panel.h: one row of float activations times P panels, in float64. Every output adds its terms
// one after the other, as the reference does, so even this `bounded` operation gives the reference's bits.
#pragma once

#include "cpu/avx2/panel.h"

namespace lowbit::core::avx2 {

// The codes of step j of a group, for its 8 outputs.
template <lowbit_format W>
__m256i step_codes(const uint8_t* group, int j) {
  if constexpr (W == LOWBIT_INT8) {
    const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(group));
    return _mm256_srai_epi32(_mm256_slli_epi32(v, 24 - 8 * j), 24);
  } else {
    const __m256i x = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(group)));
    if constexpr (W == LOWBIT_TERNARY) {
      return _mm256_sub_epi32(_mm256_and_si256(_mm256_srli_epi32(x, 2 * j), _mm256_set1_epi32(3)),
                              _mm256_set1_epi32(1));
    } else {
      const __m256i bit = _mm256_and_si256(_mm256_srli_epi32(x, j), _mm256_set1_epi32(1));
      return _mm256_sub_epi32(_mm256_slli_epi32(bit, 1), _mm256_set1_epi32(1));
    }
  }
}

// Doubles, `segment` apart from one segment to the next.
struct WideRow {
  const double* values;
  int64_t segment;
};

template <lowbit_format W, int P>
void tile_f32(const Panels& panels, const WideRow& row, float* sums) {
  constexpr int kDepth = static_cast<int>(panel_depth(W));
  __m256d acc[P][2];
  for (auto& halves : acc) halves[0] = halves[1] = _mm256_setzero_pd();
  for (int64_t s = 0; s < panels.segments; ++s) {
    for (int64_t g = 0; g < panels.groups; ++g) {
      const uint8_t* group = panels.first + s * panels.segment_bytes + g * panel_group_bytes(W);
      for (int j = 0; j < kDepth; ++j) {
        const __m256d a = _mm256_set1_pd(row.values[s * row.segment + g * kDepth + j]);
        for (int p = 0; p < P; ++p) {
          const __m256i codes = step_codes<W>(group + p * panels.panel_bytes, j);
          const __m256d low = _mm256_cvtepi32_pd(_mm256_castsi256_si128(codes));
          const __m256d high = _mm256_cvtepi32_pd(_mm256_extracti128_si256(codes, 1));
          acc[p][0] = _mm256_add_pd(acc[p][0], _mm256_mul_pd(a, low));
          acc[p][1] = _mm256_add_pd(acc[p][1], _mm256_mul_pd(a, high));
        }
      }
    }
  }
  for (int p = 0; p < P; ++p) {
    _mm_storeu_ps(sums + p * kPanelColumns, _mm256_cvtpd_ps(acc[p][0]));
    _mm_storeu_ps(sums + p * kPanelColumns + 4, _mm256_cvtpd_ps(acc[p][1]));
  }
}

}  // namespace lowbit::core::avx2
