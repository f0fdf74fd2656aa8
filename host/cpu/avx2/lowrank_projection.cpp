// lowrank_projection on AVX2. Codes of the input rows are spread to 16-bit pairs once and serve every head; each head
// is then a sweep of register tiles over its panels (panel.h). Per 32 int8 weights: one load, three shifts to widen,
// and a broadcast, a vpmaddwd and an add for each pair and row: 10 instructions for 64 operations with one row, 7 a row
// with four.
#include "cpu/avx2/activations.h"
#include "cpu/avx2/sweep.h"
#include "cpu/kernels.h"
#include "weight.h"

namespace lowbit::core::avx2 {
namespace {

template <typename Tiles, typename RowAt>
Status project(const LowrankProjection& op, RowAt row_at) {
  const Weight& w = *op.weight;
  for (int64_t h = 0; h < op.H; ++h) {
    const auto input_row = [&](int64_t r) {
      return (r / op.T * op.Hi + (op.Hi == 1 ? 0 : h)) * op.T + r % op.T;  // r = b * T + t
    };
    const auto store = [&](int64_t r, int64_t column, const float* sums, int64_t count) {
      const float* scales = w.scales() + (w.per_channel() ? h * w.shape().N : 0);
      const Epilogue finish{scales, w.per_channel(), op.input.scale_of(input_row(r)), op.threshold};
      finish(sums, column, count, row<float>(op.output, (r / op.T * op.H + h) * op.T + r % op.T) + column);
    };
    const Panels panels = panels_of(static_cast<const uint8_t*>(w.packed()), w.format(), w.shape(), h, 1, op.E);
    sweep<Tiles>(
        panels, op.B * op.T, op.Lo, [&](int64_t r) { return row_at(input_row(r)); }, store);
  }
  return {};
}

template <lowbit_format W>
Status project_codes(Stream& stream, const LowrankProjection& op) {
  SpreadRows rows;
  LOWBIT_TRY(spread(stream, op.input, op.E, W, &rows));
  return project<CodeTiles<W>>(op, [&](int64_t r) { return PairRow{rows.pairs + r * rows.stride, 0, rows.sum[r]}; });
}

}  // namespace

Status lowrank_projection_w8(Stream& stream, const LowrankProjection& op) {
  return project_codes<LOWBIT_INT8>(stream, op);
}
Status lowrank_projection_w2(Stream& stream, const LowrankProjection& op) {
  return project_codes<LOWBIT_TERNARY>(stream, op);
}
Status lowrank_projection_w1(Stream& stream, const LowrankProjection& op) {
  return project_codes<LOWBIT_BINARY>(stream, op);
}

Status lowrank_projection_f32(Stream& stream, const LowrankProjection& op) {
  WideRows rows;
  LOWBIT_TRY(widen(stream, op.input, op.E, &rows));
  const auto row_at = [&](int64_t r) { return WideRow{rows.values + r * rows.stride, 0}; };
  return with_format(op.weight->format(), [&]<lowbit_format W>() { return project<FloatTiles<W>>(op, row_at); });
}

}  // namespace lowbit::core::avx2
