// What lowrank_projection.cpp and lowrank_projection_tiles.cpp share: all but where a panel's bytes come from.
#pragma once

#include "cpu/epilogue.h"
#include "cpu/kernels.h"
#include "cpu/multiply.h"
#include "weight.h"

namespace lowbit::core::LOWBIT_ISA {

// Source(first panel, bytes from one to the next, panels, scratch).
template <typename Source>
Status project(Stream& stream, const LowrankProjection& op) {
  constexpr lowbit_format W = Source::Panel::kFormat;
  constexpr bool kSigned = Source::Panel::kSigned;
  const Weight& w = *op.weight;
  // The rows of (b, t), numbered b * T + t, lie together for each head.
  const int64_t M = op.B * op.T, heads = op.Hi;
  const auto input_row = [&](int64_t placed) {
    return (placed % M / op.T * heads + placed / M) * op.T + placed % op.T;
  };
  Rows rows;
  LOWBIT_TRY((place_rows<W, kSigned>(stream, op.input, heads * M, 1, 0, op.E, input_row, &rows)));

  const Product product{.groups = op.H,
                        .rows = M,
                        .panels = ceil_div(op.Lo, kPanelColumns),
                        .depth = op.E,
                        .row_distance = heads == 1 ? 0 : M,
                        .nanoseconds = estimate(static_cast<double>(w.packed_size()), op.H * M * op.E * op.Lo)};
  const int64_t panel_bytes = panel64_bytes(W, op.E), head_panels = ceil_div(w.shape().N, kPanelColumns);
  const auto source = [&](int64_t h, int64_t panel, int64_t panels, uint8_t* scratch) {
    const auto* packed = static_cast<const uint8_t*>(w.packed());
    return Source(packed + (h * head_panels + panel) * panel_bytes, panel_bytes, panels, scratch);
  };
  return multiply(stream, product, rows, source, [&](int64_t h, int64_t m, int64_t panel, const auto* sums) {
    const Epilogue finish{w.scales() + (w.per_channel() ? h * w.shape().N : 0), w.per_channel(), op.threshold};
    const int64_t placed = h * product.row_distance + m, column = panel * kPanelColumns;
    finish.template operator()<kFactor<W>>(sums, kOffset<W, kSigned> * rows.sums[placed],
                                           op.input.scale_of(input_row(placed)), column,
                                           std::min(kPanelColumns, op.Lo - column),
                                           row<float>(op.output, (m / op.T * op.H + h) * op.T + m % op.T) + column);
  });
}

}  // namespace lowbit::core::LOWBIT_ISA
