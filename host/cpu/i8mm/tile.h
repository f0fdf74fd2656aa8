// Register tiles of i8mm: up to 3 pairs of rows times 16 columns. A product takes 8 steps of 2 columns and of 2 rows:
//
//   weights      column c, 8 steps   column c + 1, 8 steps      sums   c, r   c, r + 1   c + 1, r   c + 1, r + 1
//   activations     row r, 8 steps      row r + 1, 8 steps
//
// Two words of each column are zipped to such weights once for all rows, by arrange(); two rows' activations, read 16
// steps at a time, in the tile. 16 steps are 48 products, 22 loads and 6 zips.
#pragma once

#include "cpu/isa.h"

namespace lowbit::core::LOWBIT_ISA {

constexpr int kPairs = 8;  // of a tile's columns

// What a thread holds while it runs tiles: nothing.
struct TileSession {};

// The words 2i and 2i + 1 of columns 4v..4v+3 become, in their places, 8 steps of columns 4v, 4v+1 and of 4v+2, 4v+3.
inline void arrange(uint8_t* block, int64_t bytes) {
  for (uint8_t* const end = block + bytes; block < end; block += 2 * kPanelStepBytes) {
    for (int64_t at = 0; at < kPanelStepBytes; at += static_cast<int64_t>(sizeof(Vector))) {
      const uint32x4x2_t zipped =
          vzipq_u32(vreinterpretq_u32_u8(load(block + at)), vreinterpretq_u32_u8(load(block + kPanelStepBytes + at)));
      store(block + at, vreinterpretq_u8_u32(zipped.val[0]));
      store(block + kPanelStepBytes + at, vreinterpretq_u8_u32(zipped.val[1]));
    }
  }
}

template <bool kSigned>
int32x4_t product(int32x4_t sums, Vector weights, Vector activations) {
  if constexpr (kSigned) return vusmmlaq_s32(sums, weights, vreinterpretq_s8_u8(activations));
  return vreinterpretq_s32_u32(vmmlaq_u32(vreinterpretq_u32_s32(sums), weights, activations));
}

// Rows 2p and 2p+1 for p < P; of an odd number of rows the last is taken twice.
template <typename Panel, int P>
void tile(int64_t rows, const uint8_t* panel, int64_t units, const uint8_t* activations, int64_t stride,
          int32_t* sums) {
  static_assert(Panel::kBytes == 4 * kPanelStepBytes);  // a unit is 16 steps
  const uint8_t* from[2 * P];
  for (int r = 0; r < 2 * P; ++r) from[r] = activations + (r < rows ? r : rows - 1) * stride;
  int32x4_t sum[P][kPairs];
  for (auto& row : sum) {
    for (int32x4_t& s : row) s = vdupq_n_s32(0);
  }
  for (int64_t u = 0; u < units; ++u, panel += Panel::kBytes) {
    Vector pair[2][P];
    for (int p = 0; p < P; ++p) {
      const uint64x2_t even = vreinterpretq_u64_u8(load(from[2 * p] + 16 * u));
      const uint64x2_t odd = vreinterpretq_u64_u8(load(from[2 * p + 1] + 16 * u));
      pair[0][p] = vreinterpretq_u8_u64(vzip1q_u64(even, odd));
      pair[1][p] = vreinterpretq_u8_u64(vzip2q_u64(even, odd));
    }
    for (int half = 0; half < 2; ++half) {
      for (int c = 0; c < kPairs; ++c) {
        const Vector weights = load(panel + (2 * half + c % 2) * kPanelStepBytes + c / 2 * 16);
        for (int p = 0; p < P; ++p) sum[p][c] = product<Panel::kSigned>(sum[p][c], weights, pair[half][p]);
      }
    }
  }
  for (int p = 0; p < P; ++p) {
    for (int c = 0; c < kPairs; c += 2) {
      const int32x4x2_t of = vuzpq_s32(sum[p][c], sum[p][c + 1]);
      vst1q_s32(sums + 2 * p * kPanelColumns + 2 * c, of.val[0]);
      vst1q_s32(sums + (2 * p + 1) * kPanelColumns + 2 * c, of.val[1]);
    }
  }
}

// For 1 to kTileRows rows and the panel's 64 columns.
template <typename Panel, int P = kTileRows / 2>
void tile_panel(int64_t rows, const uint8_t* panel, int64_t units, const uint8_t* activations, int64_t stride,
                int32_t* sums) {
  if constexpr (P > 1) {
    if (rows <= 2 * (P - 1)) return tile_panel<Panel, P - 1>(rows, panel, units, activations, stride, sums);
  }
  for (int column = 0; column < kPanelColumns; column += 2 * kPairs) {
    tile<Panel, P>(rows, panel + 4 * column, units, activations, stride, sums + column);
  }
}

}  // namespace lowbit::core::LOWBIT_ISA
