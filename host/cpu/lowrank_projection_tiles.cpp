// lowrank_projection for many rows.
#include "cpu/lowrank_projection.h"

namespace lowbit::core::LOWBIT_ISA {

Status lowrank_projection_tiles(Stream& stream, const LowrankProjection& op) {
  return with_formats(op.weight->format(), op.input.format,
                      [&]<lowbit_format W, bool kSigned>() { return project<true, W, kSigned>(stream, op); });
}

}  // namespace lowbit::core::LOWBIT_ISA
