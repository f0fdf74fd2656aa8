// The operands of a projection of one head in host memory, and the reference's outputs. lowbit and its peers compute
// from the same.
#pragma once

#include "cpu_harness.h"
#include "projection_shape.h"

namespace lowbit::bench {

class Projection {
 public:
  // Verifies every `row_step`-th row: the reference is slow.
  Projection(const Bench& bench, const ProjectionShape& shape, int64_t row_step);

  const ProjectionShape& shape() const { return shape_; }
  const std::vector<uint8_t>& codes() const { return codes_; }                // [T, K]
  const std::vector<float>& scales() const { return scales_; }                // [T]
  const std::vector<uint8_t>& weight_codes() const { return weight_codes_; }  // packed, [K, N]
  const std::vector<float>& weight_scales() const { return weight_scales_; }  // [N]
  lowbit_weight_desc weight_desc() const;

  // Throws unless the outputs [rows, N] are the reference's from that row on, bit for bit.
  void verify(std::span<const float> outputs, int64_t first_row = 0) const;
  // The same of sums, which it scales.
  template <typename Sum>
  void verify_sums(const std::vector<Sum>& sums) const {
    const auto N = static_cast<size_t>(shape_.N);
    std::vector<float> outputs(sums.size());
    for (size_t i = 0; i < sums.size(); ++i) {
      outputs[i] = static_cast<float>(sums[i]) * (scales_[i / N] * weight_scales_[i % N]);
    }
    verify(outputs);
  }

 private:
  ProjectionShape shape_;
  int64_t row_step_;
  std::vector<uint8_t> codes_;
  std::vector<float> scales_;
  std::vector<uint8_t> weight_codes_;
  std::vector<float> weight_scales_;
  std::vector<float> expected_;  // of the verified rows
};

using SharedProjection = std::function<std::shared_ptr<Projection>()>;
using SharedWeights = std::function<std::shared_ptr<std::vector<Weight>>()>;

// Prepared on a device, as often as asked for.
SharedWeights share_weights(const Contestant& contestant, SharedProjection projection, int copies);

// `rows` rows by lowbit: the first ones; or with `starts` those from row 0, 1, ... starts - 1 on, in turn. Throws unless
// they are right: one row from every start and with every set of weights, more with the first.
std::function<Subject()> lowbit_subject(const Contestant& contestant, SharedProjection projection,
                                        SharedWeights weights, int64_t rows, int64_t starts = 1);

}  // namespace lowbit::bench
