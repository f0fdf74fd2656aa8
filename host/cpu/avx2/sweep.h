// Covers the outputs of some rows with tiles: panels outside, so that a panel's weights are read from memory once and
// stay in the first-level cache for all rows.
#pragma once

#include "cpu/avx2/panel.h"
#include "cpu/avx2/panel_f32.h"
#include "status.h"

namespace lowbit::core::avx2 {

// `row_at(r)` gives a row's activations, `store(r, column, sums, count)` takes its results; columns count from 0.
template <lowbit_format W>
struct CodeTiles {
  template <int R, int P, typename RowAt, typename Store>
  static void run(const Panels& panels, int64_t r, int64_t column, int64_t count, RowAt row_at, Store store) {
    PairRow rows[R];
    for (int i = 0; i < R; ++i) rows[i] = row_at(r + i);
    float sums[R][P * kPanelColumns];
    tile<W, R, P>(panels, rows, sums);
    for (int i = 0; i < R; ++i) store(r + i, column, sums[i], count);
  }

  template <int P, typename RowAt, typename Store>
  static void rows(const Panels& panels, int64_t M, int64_t column, int64_t count, RowAt row_at, Store store) {
    int64_t r = 0;
    for (; r + 4 <= M; r += 4) run<4, P>(panels, r, column, count, row_at, store);
    if (M - r == 3) run<3, P>(panels, r, column, count, row_at, store);
    if (M - r == 2) run<2, P>(panels, r, column, count, row_at, store);
    if (M - r == 1) run<1, P>(panels, r, column, count, row_at, store);
  }
};

template <lowbit_format W>
struct FloatTiles {
  template <int P, typename RowAt, typename Store>
  static void rows(const Panels& panels, int64_t M, int64_t column, int64_t count, RowAt row_at, Store store) {
    for (int64_t r = 0; r < M; ++r) {
      float sums[P * kPanelColumns];
      tile_f32<W, P>(panels, row_at(r), sums);
      store(r, column, sums, count);
    }
  }
};

// `panels` stands at column 0. One row takes four panels at a time to keep four sums in flight, more rows two.
template <typename Tiles, typename RowAt, typename Store>
void sweep(Panels panels, int64_t M, int64_t columns, RowAt row_at, Store store) {
  int64_t column = 0, left = ceil_div(columns, kPanelColumns);
  const auto advance = [&]<int P>() {
    const int64_t count = std::min<int64_t>(P * kPanelColumns, columns - column);
    Tiles::template rows<P>(panels, M, column, count, row_at, store);
    panels.first += P * panels.panel_bytes;
    column += P * kPanelColumns;
    left -= P;
  };
  while (M == 1 && left >= 4) advance.template operator()<4>();
  while (left >= 2) advance.template operator()<2>();
  if (left == 1) advance.template operator()<1>();
}

// Calls `body.operator()<W>()` with the weight's format as W.
template <typename Body>
Status with_format(lowbit_format format, Body body) {
  switch (format) {
    case LOWBIT_TERNARY:
      return body.template operator()<LOWBIT_TERNARY>();
    case LOWBIT_BINARY:
      return body.template operator()<LOWBIT_BINARY>();
    default:
      return body.template operator()<LOWBIT_INT8>();
  }
}

// The panels of a weight's head, summed over `segments` heads from there on, over the first `depth` steps of each.
inline Panels panels_of(const uint8_t* packed, lowbit_format format, const WeightShape& shape, int64_t head,
                        int64_t segments, int64_t depth) {
  const int64_t panel_bytes = ceil_div(shape.K, panel_depth(format)) * panel_group_bytes(format);
  const int64_t head_bytes = panel_bytes * ceil_div(shape.N, kPanelColumns);
  return {packed + head * head_bytes, panel_bytes, head_bytes, segments, ceil_div(depth, panel_depth(format))};
}

}  // namespace lowbit::core::avx2
