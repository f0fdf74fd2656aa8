// Register tiles over weights in the layout panel8: R rows of activations times P panels of 8 outputs.
//
//   activations  [R]  rows of int16 pairs (a[j], a[j + G/2]) of each group of G steps: one vpmaddwd does 2 steps
//   weights      [P]  a group of 8 outputs x G steps, expanded in registers into the same pairs
//
// Widening to 16 bits keeps uint8 x int8 exact where vpmaddubsw would saturate (255 * 127 * 2 > 2^15). int32 holds
// 65536 steps (65536 * 255 * 127 < 2^31); longer sums are carried into int64. Ternary and binary weights are used as
// the unsigned codes u they are stored as: sum a*w is sum a*u - sum a (w = u - 1), or 2 sum a*u - sum a (w = 2u - 1).
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cstdint>

#include "layout.h"

namespace lowbit::core::avx2 {

// One group of 8 outputs as G/2 vectors of pairs.
template <lowbit_format W>
struct Group;

template <>
struct Group<LOWBIT_INT8> {
  static constexpr int kPairs = 2, kFactor = 1, kOffset = 0;
  __m256i pair[2];
  explicit Group(const uint8_t* bytes) {
    const __m256i v = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes));  // lane n: steps 0 1 2 3
    pair[0] = _mm256_srai_epi16(_mm256_slli_epi16(v, 8), 8);                        // steps 0, 2
    pair[1] = _mm256_srai_epi16(v, 8);                                              // steps 1, 3
  }
};

template <>
struct Group<LOWBIT_TERNARY> {
  static constexpr int kPairs = 2, kFactor = 1, kOffset = 1;
  __m256i pair[2];
  explicit Group(const uint8_t* bytes) {
    const __m256i x = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes)));
    const __m256i y = _mm256_or_si256(x, _mm256_slli_epi32(x, 12));  // steps 2, 3 above bit 16
    const __m256i mask = _mm256_set1_epi32(0x00030003);
    pair[0] = _mm256_and_si256(y, mask);
    pair[1] = _mm256_and_si256(_mm256_srli_epi32(y, 2), mask);
  }
};

template <>
struct Group<LOWBIT_BINARY> {
  static constexpr int kPairs = 4, kFactor = 2, kOffset = 1;
  __m256i pair[4];
  explicit Group(const uint8_t* bytes) {
    const __m256i x = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes)));
    const __m256i y = _mm256_or_si256(x, _mm256_slli_epi32(x, 12));  // steps 4..7 above bit 16
    const __m256i mask = _mm256_set1_epi32(0x00010001);
    for (int j = 0; j < 4; ++j) pair[j] = _mm256_and_si256(_mm256_srli_epi32(y, j), mask);
  }
};

// A stretch of panels and the steps to sum over: `segments` runs of `groups` groups (the heads of decoder_tail).
struct Panels {
  const uint8_t* first;   // group 0 of the first panel of segment 0
  int64_t panel_bytes;    // from a panel to the next
  int64_t segment_bytes;  // from a segment to the next
  int64_t segments, groups;
};

// One row of activations: pairs, `segment` int32 from one segment to the next, and the sum of its codes.
struct PairRow {
  const int32_t* pairs;
  int64_t segment;
  int64_t sum;
};

// sums[r][p * 8 + n] = f32(exact sum).
template <lowbit_format W, int R, int P>
void tile(const Panels& panels, const PairRow* rows, float (*sums)[P * kPanelColumns]) {
  using Weights = Group<W>;
  constexpr int64_t kGroupBytes = panel_group_bytes(W);
  constexpr int64_t kLimit = 65536 / panel_depth(W);  // groups that fit in int32

  int64_t wide[R][P * kPanelColumns] = {};
  bool carried = false;
  __m256i acc[R][P];
  const auto clear = [&] {
    for (auto& row : acc) std::fill_n(row, P, _mm256_setzero_si256());
  };
  const auto carry = [&] {
    for (int r = 0; r < R; ++r) {
      for (int p = 0; p < P; ++p) {
        int32_t lanes[kPanelColumns];
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes), acc[r][p]);
        for (int n = 0; n < kPanelColumns; ++n) wide[r][p * kPanelColumns + n] += lanes[n];
      }
    }
    carried = true;
  };

  clear();
  int64_t room = kLimit;
  for (int64_t s = 0; s < panels.segments; ++s) {
    for (int64_t g = 0; g < panels.groups;) {
      if (room == 0) carry(), clear(), room = kLimit;
      const int64_t end = std::min(panels.groups, g + room);
      room -= end - g;
      for (; g < end; ++g) {
        const uint8_t* bytes = panels.first + s * panels.segment_bytes + g * kGroupBytes;
        for (int p = 0; p < P; ++p) {
          const Weights weights(bytes + p * panels.panel_bytes);
          for (int r = 0; r < R; ++r) {
            const int32_t* a = rows[r].pairs + s * rows[r].segment + g * Weights::kPairs;
            for (int j = 0; j < Weights::kPairs; ++j) {
              acc[r][p] = _mm256_add_epi32(acc[r][p], _mm256_madd_epi16(weights.pair[j], _mm256_set1_epi32(a[j])));
            }
          }
        }
      }
    }
  }

  if (carried) carry();
  for (int r = 0; r < R; ++r) {
    const int64_t offset = Weights::kOffset * rows[r].sum;
    for (int p = 0; p < P; ++p) {
      float* out = sums[r] + p * kPanelColumns;
      if (carried) {
        for (int n = 0; n < kPanelColumns; ++n) {
          out[n] = static_cast<float>(Weights::kFactor * wide[r][p * kPanelColumns + n] - offset);
        }
      } else {
        const __m256i scaled = Weights::kFactor == 2 ? _mm256_slli_epi32(acc[r][p], 1) : acc[r][p];
        const __m256i exact = _mm256_sub_epi32(scaled, _mm256_set1_epi32(static_cast<int32_t>(offset)));
        _mm256_storeu_ps(out, _mm256_cvtepi32_ps(exact));
      }
    }
  }
}

}  // namespace lowbit::core::avx2
