#include "reference/kernels.h"
#include "reference/scale.h"

namespace lowbit::core::reference {

Status quantize_pack(Stream&, const QuantizePack& op) {
  const int64_t n = row_length(op.input), words = row_length(op.codes);
  for (int64_t g = 0; g < op.groups.count; ++g) {
    const auto value = [&](int64_t i) { return row<float>(op.input, op.groups.row(g, i / n))[i % n]; };
    const float scale = group_scale(op.groups.rows * n, op.format, op.rule, value);
    const float inverse = 1.0f / scale;
    row<float>(op.scales, 0)[g] = scale;
    for (int64_t j = 0; j < op.groups.rows; ++j) {
      auto* out = row<uint32_t>(op.codes, op.groups.row(g, j));
      std::fill_n(out, words, 0u);
      for (int64_t i = 0; i < n; ++i) {
        const int code = quantized_code(value(j * n + i), inverse, op.format);
        out[i / 4] |= static_cast<uint32_t>(code & 0xff) << (8 * (i % 4));
      }
    }
  }
  return {};
}

}  // namespace lowbit::core::reference
