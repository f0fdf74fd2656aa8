#include "projection_shape.h"

#include <fmt/format.h>

#include "random.h"

namespace lowbit::bench {

double ProjectionShape::bytes() const {
  const double needed_weights = nonzero * static_cast<double>(weight_bytes());
  const int64_t floats = input_scales() + weight_scales() + B * output_heads() * T * N;
  return needed_weights + static_cast<double>(B * Hi * T * K) +
         static_cast<double>(sizeof(float)) * static_cast<double>(floats);
}

std::string ProjectionShape::weight_name() const {
  return fmt::format("{}/int8_{}/H{}_K{}_N{}", is_tail() ? "decoder_tail" : "lowrank_projection", name_of(weights), H,
                     K, N);
}

std::string ProjectionShape::name() const {
  const std::string share = nonzero == 1 ? "" : fmt::format("_{:.0f}%", 100 * nonzero);
  return fmt::format("{}_M{}{}", weight_name(), tokens(), share);
}

void project(const Stream& stream, const ProjectionShape& s, const ProjectionCall& c) {
  const lowbit_activations input{
      .values = tensor(c.values, LOWBIT_TYPE_I32, {c.B, s.Hi, c.T, s.K / 4}),
      .scales = tensor(c.scales, LOWBIT_TYPE_F32, {c.B * (s.is_tail() ? 1 : s.Hi) * c.T}),
      .format = LOWBIT_INT8,
  };
  const lowbit_tensor output = tensor(c.output, LOWBIT_TYPE_F32, {c.B, s.output_heads(), c.T, s.N});
  if (s.is_tail()) {
    decoder_tail(stream, {.input = input, .weight = c.weight, .output = output});
  } else {
    lowrank_projection(stream, {.input = input, .weight = c.weight, .output = output});
  }
}

}  // namespace lowbit::bench
