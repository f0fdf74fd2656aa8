#include "invalid_argument.h"
#include "reference/kernels.h"
#include "reference/scale.h"

namespace lowbit::core::reference {

Status rho_expand(Stream&, const RhoExpand& op) {
  const auto* packed = row<uint8_t>(op.packed, 0);
  const auto* scales = row<float>(op.scales, 0);
  if (op.encoding == LOWBIT_TERNARY) {
    for (int64_t i = 0; i < op.n; ++i) {
      if (packed_code(packed, op.encoding, i) == 2) {
        return invalid_argument("rho_expand: packed holds the invalid ternary code 3 in block {}, at value {}",
                                i / LOWBIT_RHO_BLOCK, i);
      }
    }
  }
  const int64_t length = row_length(op.output);
  for (int64_t i = 0; i < op.n; ++i) {
    const auto code = static_cast<float>(packed_code(packed, op.encoding, i));
    row<float>(op.output, i / length)[i % length] = code * scales[i / LOWBIT_RHO_BLOCK];
  }
  return {};
}

}  // namespace lowbit::core::reference
