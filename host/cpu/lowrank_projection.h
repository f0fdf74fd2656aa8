// What lowrank_projection.cpp and lowrank_projection_tiles.cpp share: all but where a panel's bytes come from.
#pragma once

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
  const int64_t M = op.B * op.T;
  const auto place_of = [&](int64_t placed) -> RowPlace {
    const int64_t h = placed / M, b = placed % M / op.T, t = placed % op.T, in = (b * op.Hi + h) * op.T + t;
    return {in, op.input.scale_of(in), row<float>(op.output, (b * op.H + h) * op.T + t)};
  };
  Rows rows;
  const bool in_order = op.B == 1 || op.Hi == 1;
  LOWBIT_TRY((place_rows<W, kSigned>(stream, op.input, op.Hi * M, 1, 0, op.E, in_order, place_of, &rows)));

  const Product product{.groups = op.H,
                        .rows = M,
                        .panels = ceil_div(op.Lo, kPanelColumns),
                        .depth = op.E,
                        .row_distance = op.Hi == 1 ? 0 : M,
                        .nanoseconds = estimate(static_cast<double>(w.packed_size()),
                                                static_cast<double>(op.H * M) * static_cast<double>(op.E * op.Lo)),
                        .finish = {w.scales(), w.per_channel(), op.threshold},
                        .columns = op.Lo,
                        .scale_distance = w.per_channel() ? w.shape().N : 0,
                        .output_distance = op.Hi == 1 ? op.T * op.output.row_stride : 0};
  const int64_t panel_bytes = panel64_bytes(W, op.E), head_panels = ceil_div(w.shape().N, kPanelColumns);
  const auto source = [&](int64_t h, int64_t panel, int64_t panels, uint8_t* scratch) {
    const auto* packed = static_cast<const uint8_t*>(w.packed());
    return Source(packed + (h * head_panels + panel) * panel_bytes, panel_bytes, panels, scratch);
  };
  return multiply(stream, product, rows, source);
}

}  // namespace lowbit::core::LOWBIT_ISA
