#include "cpu/kernels.h"
#include "cpu/project_f32.h"

namespace lowbit::core::LOWBIT_ISA {
namespace {

template <lowbit_format W>
Status project(Stream& stream, const DecoderTail& op) {
  const Weight& w = *op.weight;
  const WeightRows weights(op, rows64_bytes(W));
  const int64_t panels = ceil_div(op.D, kPanelColumns), M = op.B * op.T, depth = op.H * op.l;
  const Epilogue finish{w.scales(), w.per_channel(), {}};
  const int parts = cpu::parts_for(stream, panels, static_cast<double>(M * op.D) * static_cast<double>(depth));
  cpu::for_parts(parts, panels, [&](int, int64_t first, int64_t last) {
    for (int64_t p = first; p < last; ++p) {
      const int64_t column = p * kPanelColumns;
      const auto words = [&](int64_t k, uint32_t* to) {
        const uint8_t* four[4];
        weights.four_from(k, four);
        panel_words<W>(four, p, to, [](Vector codes) { return codes; });
      };
      project_panel<W>(
          M, depth, words,
          [&](int64_t token, int64_t k) {
            return row<float>(op.input.values, first_row(op, token) + k / op.l * op.T)[k % op.l];
          },
          [&](int64_t token, const double* sums) {
            finish.template operator()<1>(sums, 0, op.input.scale_of(token), column,
                                          std::min(kPanelColumns, op.D - column),
                                          row<float>(op.output, token) + column);
          });
    }
  });
  return {};
}

}  // namespace

Status decoder_tail_f32(Stream& stream, const DecoderTail& op) {
  return with_format(op.weight->format(), [&]<lowbit_format W>() { return project<W>(stream, op); });
}

}  // namespace lowbit::core::LOWBIT_ISA
