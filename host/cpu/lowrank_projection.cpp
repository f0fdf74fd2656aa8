// lowrank_projection for few rows.
#include "cpu/lowrank_projection.h"

namespace lowbit::core::LOWBIT_ISA {

Status lowrank_projection(Stream& stream, const LowrankProjection& op) {
  return with_formats(op.weight->format(), op.input.format,
                      [&]<lowbit_format W, bool kSigned>() { return project<false, W, kSigned>(stream, op); });
}

}  // namespace lowbit::core::LOWBIT_ISA
