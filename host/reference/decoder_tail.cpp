#include "reference/kernels.h"
#include "reference/projection.h"

namespace lowbit::core::reference {

Status decoder_tail(Stream&, const DecoderTail& op) {
  for (int64_t b = 0; b < op.B; ++b) {
    for (int64_t t = 0; t < op.T; ++t) {
      const int64_t token = b * op.T + t;
      float* out = row<float>(op.output, token);
      for (int64_t d = 0; d < op.D; ++d) {
        Accumulator sum(op.input);
        for (int64_t h = 0; h < op.H; ++h) {
          for (int64_t i = 0; i < op.l; ++i) sum.add((b * op.H + h) * op.T + t, i, op.weight->code(h, i, d));
        }
        out[d] = scaled(sum.rounded(), op.input.scale_of(token), op.weight->scale(0, d));
      }
    }
  }
  return {};
}

}  // namespace lowbit::core::reference
