// The orders in which packed weights lie in device memory. A weight is H matrices of K x N codes; a layout says at
// which code index (bits of the format each) the code of (h, k, n) stands. Rows of the kernel table name the layouts
// they read.
//
//   plain    [H][K][N]                          the portable order; the host's scalar rows read it
//   panel8   [H][N/8][K/G][8][G]                G = 4 (int8, ternary) or 8 (binary): K and N padded to whole panels
//   panel32  [H][N/32][K/G][32][G]              G = 4, 16 or 32: the codes of a 32-bit word; K padded to whole steps
//
// panel8 of one panel, int8 (a 32-byte vector is 8 outputs of 4 steps of K) and ternary (a byte is 4 steps of one
// output):
//
//   int8     byte   0    1    2    3  |  4  ...        ternary  byte   0          1          ...  7
//            (k,n)  0,0  1,0  2,0  3,0|  0,1 ...                (k,n)  0..3,0     0..3,1     ...  0..3,7
//
// panel32, for GPUs: a row of a panel is 128 bytes, 32 words of G steps of K each. 16 bytes are the same steps of four
// columns, a chunk; chunk c of row r stands at place c ^ 2((r ^ r/4) % 4), so that lanes which read four rows at once
// read other banks of shared memory. In a word of ternary or binary codes, step 4j + b has the j-th bits of byte b, so
// that a shift and a mask give the four steps 4j..4j+3 as bytes:
//
//   ternary  bits of a byte b   7 6     5 4     3 2    1 0         binary   7     6     ...  1    0
//            step               12+b    8+b     4+b    b                    28+b  24+b       4+b  b
#pragma once

#include "codes.h"

namespace lowbit::core {

enum class Layout { plain, panel8, panel32 };
using LayoutSet = Set<Layout>;

const char* name_of(Layout layout);

constexpr int64_t kPanelColumns = 8;
// Steps of K that stand side by side in panel8.
constexpr int64_t panel_depth(lowbit_format format) { return format == LOWBIT_BINARY ? 8 : 4; }
// Bytes of one [8][G] group of a panel.
constexpr int64_t panel_group_bytes(lowbit_format format) {
  return packed_size(format, kPanelColumns * panel_depth(format));
}

constexpr int64_t kPanel32Columns = 32;
constexpr int64_t kPanel32RowBytes = 128;
// Steps of K in a word, and in a warp's step through a panel: four lanes read a run of 16 steps of K or a word each.
constexpr int64_t panel32_depth(lowbit_format format) { return 4 * codes_per_byte(format); }
constexpr int64_t panel32_step(lowbit_format format) { return format == LOWBIT_BINARY ? 128 : 64; }
constexpr int64_t panel32_steps(lowbit_format format, int64_t K) { return ceil_div(K, panel32_step(format)); }
// Bytes of a panel, whole steps.
constexpr int64_t panel32_bytes(lowbit_format format, int64_t K) {
  return panel32_steps(format, K) * panel32_step(format) / panel32_depth(format) * kPanel32RowBytes;
}
// Where chunk c of row r of a panel stands, in 16-byte chunks.
constexpr int64_t panel32_chunk(int64_t r, int64_t c) { return r * 8 + (c ^ 2 * ((r ^ r >> 2) & 3)); }

struct WeightShape {
  int64_t H, K, N;
};

constexpr int64_t panel32_index(lowbit_format format, const WeightShape& s, int64_t h, int64_t k, int64_t n) {
  const int64_t depth = panel32_depth(format), panel = h * ceil_div(s.N, kPanel32Columns) + n / kPanel32Columns;
  const int64_t chunk = panel32_chunk(k / depth, n % kPanel32Columns / 4);
  const int64_t in_word = format == LOWBIT_INT8 ? k % 4 : k % 4 * (depth / 4) + k % depth / 4;
  return panel * panel32_bytes(format, s.K) * codes_per_byte(format) + (chunk * 4 + n % 4) * depth + in_word;
}

// Code index of (h, k, n).
constexpr int64_t layout_index(Layout layout, lowbit_format format, const WeightShape& s, int64_t h, int64_t k,
                               int64_t n) {
  if (layout == Layout::plain) return (h * s.K + k) * s.N + n;
  if (layout == Layout::panel32) return panel32_index(format, s, h, k, n);
  const int64_t depth = panel_depth(format), groups = ceil_div(s.K, depth), panels = ceil_div(s.N, kPanelColumns);
  const int64_t group = (h * panels + n / kPanelColumns) * groups + k / depth;
  return (group * kPanelColumns + n % kPanelColumns) * depth + k % depth;
}

// Bytes of the whole weight.
constexpr int64_t layout_size(Layout layout, lowbit_format format, const WeightShape& s) {
  if (layout == Layout::plain) return packed_size(format, s.H * s.K * s.N);
  if (layout == Layout::panel32) return s.H * ceil_div(s.N, kPanel32Columns) * panel32_bytes(format, s.K);
  return s.H * ceil_div(s.N, kPanelColumns) * ceil_div(s.K, panel_depth(format)) * panel_group_bytes(format);
}

// Rearranges portable bytes into `layout`; `out` has layout_size() bytes. Padding codes are zero bits.
void apply_layout(Layout layout, lowbit_format format, const WeightShape& s, const uint8_t* portable, uint8_t* out);

}  // namespace lowbit::core
