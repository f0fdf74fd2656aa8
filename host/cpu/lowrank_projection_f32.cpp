#include "cpu/kernels.h"
#include "cpu/project_f32.h"

namespace lowbit::core::LOWBIT_ISA {
namespace {

template <lowbit_format W>
Status project(Stream& stream, const LowrankProjection& op) {
  const Weight& w = *op.weight;
  const int64_t panels = ceil_div(op.Lo, kPanelColumns), M = op.B * op.T;
  const int64_t panel_bytes = panel64_bytes(W, op.E), head_panels = ceil_div(w.shape().N, kPanelColumns);
  const int parts =
      cpu::parts_for(stream, op.H * panels, static_cast<double>(op.H * M) * static_cast<double>(op.E * op.Lo));
  cpu::for_parts(parts, op.H * panels, [&](int, int64_t first, int64_t last) {
    for (int64_t task = first; task < last; ++task) {
      const int64_t h = task / panels, column = task % panels * kPanelColumns;
      const auto* panel = static_cast<const uint8_t*>(w.packed()) + (h * head_panels + task % panels) * panel_bytes;
      const Epilogue finish{w.scales() + (w.per_channel() ? h * w.shape().N : 0), w.per_channel(), op.threshold};
      const auto words = [&](int64_t k, uint32_t* to) {
        const uint8_t* from = panel + k / word_codes(W) * kPanelStepBytes;
        for (int v = 0; v < kPanelColumns; v += kLanes) {
          store(to + v, steps<W>(load(from + 4 * v), static_cast<int>(k % word_codes(W) / 4)));
        }
      };
      const auto input_row = [&](int64_t m) {
        return (m / op.T * op.Hi + (op.Hi == 1 ? 0 : h)) * op.T + m % op.T;  // m = b * T + t
      };
      project_panel<W>(
          M, op.E, words, [&](int64_t m, int64_t k) { return row<float>(op.input.values, input_row(m))[k]; },
          [&](int64_t m, const double* sums) {
            finish.template operator()<1>(sums, 0, op.input.scale_of(input_row(m)), column,
                                          std::min(kPanelColumns, op.Lo - column),
                                          row<float>(op.output, (m / op.T * op.H + h) * op.T + m % op.T) + column);
          });
    }
  });
  return {};
}

}  // namespace

Status lowrank_projection_f32(Stream& stream, const LowrankProjection& op) {
  return with_format(op.weight->format(), [&]<lowbit_format W>() { return project<W>(stream, op); });
}

}  // namespace lowbit::core::LOWBIT_ISA
