#include "cpu_projection.h"

#include <fmt/format.h>

#include <bit>
#include <stdexcept>

#include "random.h"

namespace lowbit::bench {

Projection::Projection(const Bench& bench, const ProjectionShape& shape, int64_t row_step)
    : shape_(shape),
      row_step_(row_step),
      codes_(random_codes(LOWBIT_INT8, shape.T * shape.K)),
      scales_(random_floats(shape.T, 0.005f, 0.015f)),
      weight_codes_(random_codes(shape.weights, shape.K * shape.N)),
      weight_scales_(random_floats(shape.N, 0.005f, 0.015f)) {
  for (uint8_t& code : codes_) code = std::max<uint8_t>(code, 1);  // dense: no zero
  if (shape.nonzero < 1) thin_out(codes_, shape.nonzero);
  std::vector<uint8_t> codes;
  std::vector<float> scales;
  for (int64_t row = 0; row < shape.T; row += row_step) {
    codes.insert(codes.end(), codes_.begin() + row * shape.K, codes_.begin() + (row + 1) * shape.K);
    scales.push_back(scales_[static_cast<size_t>(row)]);
  }
  const auto rows = static_cast<int64_t>(scales.size());
  const Weight weight(bench.reference(), weight_desc());
  expected_.resize(static_cast<size_t>(rows * shape.N));
  project(bench.reference_stream(), shape, {1, rows, codes.data(), scales.data(), expected_.data(), weight.get()});
}

lowbit_weight_desc Projection::weight_desc() const {
  return {.operation = shape_.operation,
          .format = shape_.weights,
          .heads = 1,
          .rows = shape_.K,
          .columns = shape_.N,
          .packed = weight_codes_.data(),
          .packed_size = weight_codes_.size(),
          .scales = weight_scales_.data(),
          .scale_count = weight_scales_.size()};
}

void Projection::verify(std::span<const float> outputs, int64_t first_row) const {
  const int64_t rows = static_cast<int64_t>(outputs.size()) / shape_.N;
  for (int64_t row = first_row; row < first_row + rows; ++row) {
    if (row % row_step_ != 0) continue;
    const float* got = &outputs[static_cast<size_t>((row - first_row) * shape_.N)];
    const float* right = &expected_[static_cast<size_t>(row / row_step_ * shape_.N)];
    for (int64_t n = 0; n < shape_.N; ++n) {
      if (std::bit_cast<uint32_t>(got[n]) == std::bit_cast<uint32_t>(right[n])) continue;
      throw std::runtime_error(
          fmt::format("output {} of row {} is {}, the reference has {}", n, row, got[n], right[n]));
    }
  }
}

SharedWeights share_weights(const Contestant& contestant, SharedProjection projection, int copies) {
  return shared([=, &contestant] {
    std::vector<Weight> weights;
    for (int copy = 0; copy < copies; ++copy) weights.emplace_back(contestant.device, projection()->weight_desc());
    return weights;
  });
}

std::function<Subject()> lowbit_subject(const Contestant& contestant, SharedProjection projection,
                                        SharedWeights weights, int64_t rows, int64_t starts) {
  return [=, &contestant]() -> Subject {
    const auto p = projection();
    const auto sets = weights();
    ProjectionShape shape = p->shape();
    shape.T = rows;
    const auto outputs = static_cast<size_t>(rows * shape.N);
    const auto values = std::make_shared<Buffer>(upload(contestant, p->codes()));
    const auto scales = std::make_shared<Buffer>(upload(contestant, p->scales()));
    const auto output = std::make_shared<Buffer>(contestant.device, outputs * sizeof(float));
    const auto set_count = static_cast<int64_t>(sets->size());
    const auto call = [=, &stream = contestant.stream](int copy) {
      const int64_t row = copy / set_count % starts;
      project(
          stream, shape,
          {1, rows, static_cast<uint8_t*>(values->data()) + row * shape.K, static_cast<float*>(scales->data()) + row,
           output->data(), sets->at(static_cast<size_t>(copy % set_count)).get()});
    };
    const auto copies = static_cast<int>(set_count * starts);
    for (int copy = 0; copy < (rows == 1 ? copies : 1); ++copy) {
      call(copy);
      p->verify({static_cast<const float*>(output->data()), outputs}, copy / set_count);
    }
    return {.label = contestant.stream.last_kernel(),
            .bytes = shape.bytes(),
            .operations = shape.operations(),
            .copies = copies,
            .call = call};
  };
}

}  // namespace lowbit::bench
