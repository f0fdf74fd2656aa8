#include "projection.h"

#include <fmt/format.h>

#include <bit>
#include <stdexcept>

#include "random.h"

namespace lowbit::bench {

// ---- Weights ---------------------------------------------------------------------------------------------------------

Weights::Weights(const Bench& bench, const ProjectionShape& shape)
    : bench_(bench),
      shape_(shape),
      codes_(random_codes(shape.weights, shape.H * shape.K * shape.N)),
      scales_(random_floats(shape.weight_scales(), 0.005f, 0.015f)),
      cpu_(bench.cpu(), desc()) {}

lowbit_weight_desc Weights::desc() const {
  return {.operation = shape_.operation,
          .format = shape_.weights,
          .heads = shape_.H,
          .rows = shape_.K,
          .columns = shape_.N,
          .packed = codes_.data(),
          .packed_size = codes_.size(),
          .scales = scales_.data(),
          .scale_count = scales_.size()};
}

const lowbit_weight* Weights::on_gpu(int copy) {
  while (gpu_.size() <= static_cast<size_t>(copy)) gpu_.emplace_back(bench_.gpu(), desc());
  return gpu_[static_cast<size_t>(copy)].get();
}

// ---- All operands ----------------------------------------------------------------------------------------------------

Projection::Projection(const Bench& bench, const ProjectionShape& shape, std::shared_ptr<Weights> weights)
    : bench_(bench),
      shape_(shape),
      weights_(std::move(weights)),
      codes_(random_codes(LOWBIT_INT8, shape.B * shape.Hi * shape.T * shape.K)),
      scales_(random_floats(shape.input_scales(), 0.005f, 0.015f)) {
  if (shape.nonzero < 1) thin_out(codes_, shape.nonzero);
  const auto output_bytes = static_cast<uint64_t>(shape.B * shape.output_heads() * shape.T * shape.N) * sizeof(float);
  for (int copy = 0; copy < bench.copies_of(shape.bytes()); ++copy) {
    sets_.push_back({bench.upload(codes_), bench.upload(scales_), Buffer(bench.gpu(), output_bytes)});
  }
  expected_ = compute_on_cpu();
}

std::vector<float> Projection::compute_on_cpu() {
  const ProjectionShape& s = shape_;
  std::vector<uint8_t> codes;  // [Hi][2][K]
  std::vector<float> scales;   // [Hi or 1][2]
  for (int64_t head = 0; head < s.Hi; ++head) {
    for (int64_t row : {head * s.T, ((s.B - 1) * s.Hi + head + 1) * s.T - 1}) {
      codes.insert(codes.end(), codes_.begin() + row * s.K, codes_.begin() + (row + 1) * s.K);
      if (!s.is_tail()) scales.push_back(scales_[static_cast<size_t>(row)]);
    }
  }
  if (s.is_tail()) scales = {scales_.front(), scales_.back()};
  std::vector<float> rows(static_cast<size_t>(s.output_heads() * 2 * s.N)), outputs;  // [H or 1][2][N]
  project(bench_.cpu_stream(), s, {1, 2, codes.data(), scales.data(), rows.data(), weights_->on_cpu()});
  for (int64_t token = 0; token < 2; ++token) {
    for (int64_t head = 0; head < s.output_heads(); ++head) {
      const auto row = rows.begin() + (head * 2 + token) * s.N;
      outputs.insert(outputs.end(), row, row + s.N);
    }
  }
  return outputs;
}

std::vector<float> Projection::outputs_of(int copy) const {
  const ProjectionShape& s = shape_;
  std::vector<float> outputs;
  for (bool is_last : {false, true}) {
    for (int64_t head = 0; head < s.output_heads(); ++head) {
      const int64_t row = is_last ? ((s.B - 1) * s.output_heads() + head + 1) * s.T - 1 : head * s.T;
      const auto got = bench_.download<float>(output(copy), row * s.N, s.N);
      outputs.insert(outputs.end(), got.begin(), got.end());
    }
  }
  return outputs;
}

void Projection::verify(std::span<const float> got) const {
  for (size_t i = 0; i < expected_.size(); ++i) {
    if (std::bit_cast<uint32_t>(got[i]) == std::bit_cast<uint32_t>(expected_[i])) continue;
    throw std::runtime_error(fmt::format("output {} of the first and the last token is {}, the cpu backend has {}", i,
                                         got[i], expected_[i]));
  }
}

Subject make_lowbit(std::shared_ptr<Projection> projection) {
  const Projection& p = *projection;
  const Stream& stream = p.bench().stream();
  const auto call = [projection, &stream](int copy) {
    const Projection& on = *projection;
    project(stream, on.shape(),
            {on.shape().B, on.shape().T, on.values(copy).data(), on.value_scales(copy).data(), on.output(copy).data(),
             on.weights().on_gpu(copy)});
  };
  for (int copy = 0; copy < p.copies(); ++copy) {
    call(copy);
    p.verify(p.outputs_of(copy));
  }
  return {.label = stream.last_kernel(),
          .bytes = p.shape().bytes(),
          .operations = p.shape().operations(),
          .copies = p.copies(),
          .call = call};
}

}  // namespace lowbit::bench
