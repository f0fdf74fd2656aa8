#include "reference/kernels.h"
#include "reference/scale.h"

namespace lowbit::core::reference {

Status rho_compress(Stream&, const RhoCompress& op) {
  const int64_t length = row_length(op.input);
  const auto value = [&](int64_t i) { return row<float>(op.input, i / length)[i % length]; };
  auto* packed = row<uint8_t>(op.packed, 0);
  auto* scales = row<float>(op.scales, 0);
  std::fill_n(packed, packed_size(op.encoding, op.n), uint8_t{0});
  for (int64_t start = 0; start < op.n; start += LOWBIT_RHO_BLOCK) {
    const int64_t count = std::min<int64_t>(LOWBIT_RHO_BLOCK, op.n - start);
    const auto in_block = [&](int64_t i) { return value(start + i); };
    float scale = group_scale(count, LOWBIT_INT8, LOWBIT_ABSMAX, in_block);
    if (op.encoding != LOWBIT_INT8 && !std::isnan(scale)) scale = ternary_scale(count, in_block);
    scales[start / LOWBIT_RHO_BLOCK] = scale;
    for (int64_t i = 0; i < count; ++i) {
      put_packed_code(packed, op.encoding, start + i, weight_code(in_block(i), scale, op.encoding));
    }
  }
  return {};
}

}  // namespace lowbit::core::reference
