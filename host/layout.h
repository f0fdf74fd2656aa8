// The orders in which packed weights lie in device memory. A weight is H matrices of K x N codes; a layout says at
// which code index (bits of the format each) the code of (h, k, n) stands. Rows of the kernel table name the layouts
// they read.
//
//   plain    [H][K][N]                          the portable order; every backend's scalar row reads it
//   panel8   [H][N/8][K/G][8][G]                G = 4 (int8, ternary) or 8 (binary): K and N padded to whole panels
//
// panel8 of one panel, int8 (a 32-byte vector is 8 outputs of 4 steps of K) and ternary (a byte is 4 steps of one
// output):
//
//   int8     byte   0    1    2    3  |  4  ...        ternary  byte   0          1          ...  7
//            (k,n)  0,0  1,0  2,0  3,0|  0,1 ...                (k,n)  0..3,0     0..3,1     ...  0..3,7
#pragma once

#include "codes.h"

namespace lowbit::core {

enum class Layout { plain, panel8 };
using LayoutSet = Set<Layout>;

const char* name_of(Layout layout);

constexpr int64_t kPanelColumns = 8;
// Steps of K that stand side by side in panel8.
constexpr int64_t panel_depth(lowbit_format format) { return format == LOWBIT_BINARY ? 8 : 4; }
// Bytes of one [8][G] group of a panel.
constexpr int64_t panel_group_bytes(lowbit_format format) {
  return packed_size(format, kPanelColumns * panel_depth(format));
}

struct WeightShape {
  int64_t H, K, N;
};

// Code index of (h, k, n).
constexpr int64_t layout_index(Layout layout, lowbit_format format, const WeightShape& s, int64_t h, int64_t k,
                               int64_t n) {
  if (layout == Layout::plain) return (h * s.K + k) * s.N + n;
  const int64_t depth = panel_depth(format), groups = ceil_div(s.K, depth), panels = ceil_div(s.N, kPanelColumns);
  const int64_t group = (h * panels + n / kPanelColumns) * groups + k / depth;
  return (group * kPanelColumns + n % kPanelColumns) * depth + k % depth;
}

// Bytes of the whole weight.
constexpr int64_t layout_size(Layout layout, lowbit_format format, const WeightShape& s) {
  if (layout == Layout::plain) return packed_size(format, s.H * s.K * s.N);
  return s.H * ceil_div(s.N, kPanelColumns) * ceil_div(s.K, panel_depth(format)) * panel_group_bytes(format);
}

// Rearranges portable bytes into `layout`; `out` has layout_size() bytes. Padding codes are zero bits.
void apply_layout(Layout layout, lowbit_format format, const WeightShape& s, const uint8_t* portable, uint8_t* out);

}  // namespace lowbit::core
