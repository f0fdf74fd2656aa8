// decoder_tail on AVX2. A token's heads are segments of one long sum: a tile runs over all of them before it finishes,
// so partial sums never leave the registers. The arithmetic is panel.h's, as in lowrank_projection.cpp.
#include "cpu/avx2/activations.h"
#include "cpu/avx2/sweep.h"
#include "cpu/kernels.h"
#include "weight.h"

namespace lowbit::core::avx2 {
namespace {

template <typename Tiles, typename RowAt>
Status project(const DecoderTail& op, RowAt row_at) {
  const Weight& w = *op.weight;
  const auto store = [&](int64_t token, int64_t column, const float* sums, int64_t count) {
    const Epilogue finish{w.scales(), w.per_channel(), op.input.scale_of(token), {}};
    finish(sums, column, count, row<float>(op.output, token) + column);
  };
  const Panels panels = panels_of(static_cast<const uint8_t*>(w.packed()), w.format(), w.shape(), 0, op.H, op.l);
  sweep<Tiles>(panels, op.B * op.T, op.D, row_at, store);
  return {};
}

// Head 0's row of token b * T + t; the other heads' rows follow T apart.
int64_t first_row(const DecoderTail& op, int64_t token) { return token / op.T * op.H * op.T + token % op.T; }

template <lowbit_format W>
Status project_codes(Stream& stream, const DecoderTail& op) {
  SpreadRows rows;
  LOWBIT_TRY(spread(stream, op.input, op.l, W, &rows));
  return project<CodeTiles<W>>(op, [&](int64_t token) {
    const int64_t r = first_row(op, token);
    int64_t sum = 0;
    for (int64_t h = 0; h < op.H; ++h) sum += rows.sum[r + h * op.T];
    return PairRow{rows.pairs + r * rows.stride, op.T * rows.stride, sum};
  });
}

}  // namespace

Status decoder_tail_w8(Stream& stream, const DecoderTail& op) { return project_codes<LOWBIT_INT8>(stream, op); }
Status decoder_tail_w2(Stream& stream, const DecoderTail& op) { return project_codes<LOWBIT_TERNARY>(stream, op); }
Status decoder_tail_w1(Stream& stream, const DecoderTail& op) { return project_codes<LOWBIT_BINARY>(stream, op); }

Status decoder_tail_f32(Stream& stream, const DecoderTail& op) {
  WideRows rows;
  LOWBIT_TRY(widen(stream, op.input, op.l, &rows));
  const auto row_at = [&](int64_t token) {
    return WideRow{rows.values + first_row(op, token) * rows.stride, op.T * rows.stride};
  };
  return with_format(op.weight->format(), [&]<lowbit_format W>() { return project<FloatTiles<W>>(op, row_at); });
}

}  // namespace lowbit::core::avx2
