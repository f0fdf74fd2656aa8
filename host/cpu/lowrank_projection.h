// lowrank_projection over panels of 64 columns. Few rows: a step's words come from memory once, in their packed form, and
// are taken apart in registers; the floor is the read of the weights. Many rows: tiles of rows x 64 columns on panels
// that are bytes already, or made so block by block; the floor is the multiply-adds.
#pragma once

#include "cpu/epilogue.h"
#include "cpu/kernels.h"
#include "cpu/multiply.h"
#include "weight.h"

namespace lowbit::core::LOWBIT_ISA {

// Nanoseconds that one thread may take, to decide on threads: 20 bytes or 200 multiply-adds each.
inline double estimate(const LowrankProjection& op) {
  const auto bytes = static_cast<double>(op.weight->packed_size());
  return std::max(bytes / 20, static_cast<double>(op.B * op.H * op.T * op.E * op.Lo) / 200);
}

template <bool kMany, lowbit_format W, bool kSigned>
Status project(Stream& stream, const LowrankProjection& op) {
  const Weight& w = *op.weight;
  Rows rows;
  LOWBIT_TRY((place_rows<W, kSigned>(
      stream, op.input, op.B * op.Hi * op.T, 1, 0, op.E, [](int64_t r) { return r; }, &rows)));

  // A task is a panel and some rows of a head: of (b, t), numbered b * T + t.
  const int64_t M = op.B * op.T, panels = ceil_div(op.Lo, kPanelColumns), row_blocks = ceil_div(M, kRowBlock);
  const int parts = cpu::parts_for(stream, op.H * row_blocks * panels, estimate(op));
  constexpr bool kExpands = kMany && (W != LOWBIT_INT8 || kUnit<Unpacked<W, kSigned>> != 4);
  const int64_t expanded = kExpands ? ceil_div(std::min(op.E, block_depth()), 64) * 64 * kPanelColumns : 0;
  const int64_t partial = partial_bytes(std::min(M, kRowBlock), 1, op.E);
  Location scratch;
  LOWBIT_TRY(stream.scratch(static_cast<size_t>(parts * (partial + expanded)), &scratch));

  const int64_t panel_bytes = panel64_bytes(W, op.E), head_bytes = ceil_div(w.shape().N, kPanelColumns) * panel_bytes;
  cpu::for_parts(parts, op.H * row_blocks * panels, [&](int part, int64_t first, int64_t last) {
    [[maybe_unused]] const TileSession session;
    auto* const sums = scratch.as<int64_t>() + part * partial / static_cast<int64_t>(sizeof(int64_t));
    uint8_t* const bytes = scratch.as<uint8_t>() + parts * partial + part * expanded;
    for (int64_t task = first; task < last; ++task) {
      const int64_t h = task / panels / row_blocks, from = task / panels % row_blocks * kRowBlock;
      const int64_t column = task % panels * kPanelColumns, count = std::min(kPanelColumns, op.Lo - column);
      const Epilogue finish{w.scales() + (w.per_channel() ? h * w.shape().N : 0), w.per_channel(), op.threshold};
      const auto* panel = static_cast<const uint8_t*>(w.packed()) + h * head_bytes + task % panels * panel_bytes;
      // Rows of (b, t) lie apart where the heads have activations of their own.
      for (int64_t r = from, end = 0; r < std::min(M, from + kRowBlock); r = end) {
        const int64_t b = r / op.T;
        end = std::min({M, from + kRowBlock, op.Hi == 1 ? M : (b + 1) * op.T});
        const int64_t shift = op.Hi == 1 ? 0 : (b * op.Hi + h) * op.T - b * op.T;
        const auto store = [&](int64_t in, int64_t, const auto* sum) {
          const int64_t m = in - shift, out = (m / op.T * op.H + h) * op.T + m % op.T;
          finish.template operator()<kFactor<W>>(sum, kOffset<W, kSigned> * rows.sums[in], op.input.scale_of(in),
                                                 column, count, row<float>(op.output, out) + column);
        };
        if constexpr (kExpands) {
          using Panel = Unpacked<W, kSigned>;
          multiply(Expanded<Panel>{{panel, panel_bytes}, bytes}, rows, r + shift, end + shift, 1, op.E, sums, store);
        } else {
          using Panel = Packed<W, kSigned>;
          multiply(InPlace<Panel>{panel, panel_bytes}, rows, r + shift, end + shift, 1, op.E, sums, store);
        }
      }
    }
  });
  return {};
}

}  // namespace lowbit::core::LOWBIT_ISA
