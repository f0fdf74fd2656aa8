#include "reference/kernels.h"
#include "reference/projection.h"

namespace lowbit::core::reference {

Status lowrank_projection(Stream&, const LowrankProjection& op) {
  for (int64_t b = 0; b < op.B; ++b) {
    for (int64_t h = 0; h < op.H; ++h) {
      for (int64_t t = 0; t < op.T; ++t) {
        const int64_t in = (b * op.Hi + (op.Hi == 1 ? 0 : h)) * op.T + t;
        float* out = row<float>(op.output, (b * op.H + h) * op.T + t);
        for (int64_t l = 0; l < op.Lo; ++l) {
          Accumulator sum(op.input);
          for (int64_t e = 0; e < op.E; ++e) sum.add(in, e, op.weight->code(h, e, l));
          out[l] = thresholded(scaled(sum.rounded(), op.input.scale_of(in), op.weight->scale(h, l)), op.threshold);
        }
      }
    }
  }
  return {};
}

}  // namespace lowbit::core::reference
