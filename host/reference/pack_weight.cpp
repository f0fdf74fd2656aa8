#include "invalid_argument.h"
#include "reference/kernels.h"
#include "reference/scale.h"

namespace lowbit::core::reference {

Status pack_weight(Stream&, const PackWeight& op) {
  const int64_t count = op.matrices * op.K * op.N;
  const auto weight = [&](int64_t i) { return row<float>(op.input, i / op.N)[i % op.N]; };
  for (int64_t i = 0; i < count; ++i) {
    if (!is_finite(weight(i)))
      return invalid_argument("pack_weight: input holds {} at index {}, weights must be finite", weight(i), i);
  }

  // Channel c of matrix m is column c: the values m*K*N + k*N + c. One tensor-wide group otherwise.
  std::vector<float> scales;
  const int64_t channels = op.per_channel ? op.matrices * op.N : 1;
  for (int64_t c = 0; c < channels; ++c) {
    const auto value = [&](int64_t i) {
      return op.per_channel ? weight((c / op.N * op.K + i) * op.N + c % op.N) : weight(i);
    };
    const int64_t n = op.per_channel ? op.K : count;
    scales.push_back(op.format == LOWBIT_INT8 ? group_scale(n, op.format, op.rule, value) : ternary_scale(n, value));
    if (std::isnan(scales.back())) {
      return invalid_argument("pack_weight: the sum of the magnitudes of {} overflows",
                              op.per_channel ? fmt::format("channel {}", c) : "the tensor");
    }
  }

  auto* packed = row<uint8_t>(op.packed, 0);
  std::fill_n(packed, packed_size(op.format, count), uint8_t{0});
  for (int64_t i = 0; i < count; ++i) {
    const float scale = op.per_channel ? scales[i / (op.K * op.N) * op.N + i % op.N] : scales[0];
    put_packed_code(packed, op.format, i, weight_code(weight(i), scale, op.format));
  }
  std::copy(scales.begin(), scales.end(), row<float>(op.scales, 0));
  return {};
}

}  // namespace lowbit::core::reference
