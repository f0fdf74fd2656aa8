// decoder_tail over rows of weights, for many tokens: blocks of weights are interleaved into panels in scratch, and tiles
// run over those. A token's heads are one long sum.
#include "cpu/epilogue.h"
#include "cpu/kernels.h"
#include "cpu/multiply.h"
#include "cpu/rows.h"
#include "weight.h"

namespace lowbit::core::LOWBIT_ISA {
namespace {

// Panels made of weight rows in scratch.
template <typename PanelType>
struct Gathered {
  using Panel = PanelType;
  WeightRows rows;
  int64_t first_panel, depth;
  uint8_t* scratch;
  const uint8_t* block(int64_t p, int64_t k, int64_t length) const {
    constexpr lowbit_format W = Panel::kFormat;
    uint8_t* out = scratch;
    const int64_t end = k + ceil_div(length, kUnit<Panel>) * kUnit<Panel>;
    for (; k < end; k += 4, out += kPanelStepBytes) {
      panel_words<W>(rows, k, depth, first_panel + p, out, operand<W, Panel::kSigned>);
    }
    arrange(scratch, out - scratch);
    return scratch;
  }
};

double estimate(const DecoderTail& op) {
  const auto bytes = static_cast<double>(op.weight->packed_size());
  return std::max(bytes / 20, static_cast<double>(op.B * op.T * op.H * op.l * op.D) / 200);
}

template <lowbit_format W, bool kSigned>
Status project_tiles(Stream& stream, const DecoderTail& op) {
  using Panel = Unpacked<W, kSigned>;
  constexpr int64_t kPanels = 4;  // of a task: runs of four cache lines of each row
  Rows rows;
  LOWBIT_TRY((place_rows<W, kSigned>(
      stream, op.input, op.B * op.T, op.H, op.T, op.l, [&](int64_t token) { return first_row(op, token); }, &rows)));

  const Weight& w = *op.weight;
  const int64_t M = op.B * op.T, depth = op.H * op.l, panels = ceil_div(op.D, kPanelColumns);
  const int64_t row_blocks = ceil_div(M, kRowBlock), runs = ceil_div(panels, kPanels);
  const int parts = cpu::parts_for(stream, row_blocks * runs, estimate(op));
  const int64_t gathered = ceil_div(std::min(depth, block_depth()), 64) * 64 * kPanelColumns;
  const int64_t partial = partial_bytes(std::min(M, kRowBlock), kPanels, depth);
  Location scratch;
  LOWBIT_TRY(stream.scratch(static_cast<size_t>(parts * (partial + gathered)), &scratch));

  const Epilogue finish{w.scales(), w.per_channel(), {}};
  cpu::for_parts(parts, row_blocks * runs, [&](int part, int64_t first, int64_t last) {
    [[maybe_unused]] const TileSession session;
    auto* const sums = scratch.as<int64_t>() + part * partial / static_cast<int64_t>(sizeof(int64_t));
    uint8_t* const bytes = scratch.as<uint8_t>() + parts * partial + part * gathered;
    for (int64_t task = first; task < last; ++task) {
      const int64_t from = task / runs * kRowBlock, panel = task % runs * kPanels;
      multiply(Gathered<Panel>{WeightRows(op, rows64_bytes(W)), panel, depth, bytes}, rows, from,
               std::min(M, from + kRowBlock), std::min(kPanels, panels - panel), depth, sums,
               [&](int64_t token, int64_t p, const auto* sum) {
                 const int64_t column = (panel + p) * kPanelColumns;
                 finish.template operator()<kFactor<W>>(
                     sum, kOffset<W, kSigned> * rows.sums[token], op.input.scale_of(token), column,
                     std::min(kPanelColumns, op.D - column), row<float>(op.output, token) + column);
               });
    }
  });
  return {};
}

}  // namespace

Status decoder_tail_tiles(Stream& stream, const DecoderTail& op) {
  return with_formats(op.weight->format(), op.input.format,
                      [&]<lowbit_format W, bool kSigned>() { return project_tiles<W, kSigned>(stream, op); });
}

}  // namespace lowbit::core::LOWBIT_ISA
