// The operands of a projection: packed activations in, a scale a token in device memory, floats out. lowbit and its
// peers compute the same outputs from them.
#pragma once

#include <span>

#include "bench.h"
#include "projection_shape.h"

namespace lowbit::bench {

// Weights in host memory and prepared on both devices; as many sets on the GPU as were asked for.
class Weights {
 public:
  Weights(const Bench& bench, const ProjectionShape& shape);
  const lowbit_weight* on_gpu(int copy);
  const lowbit_weight* on_cpu() const { return cpu_.get(); }
  const std::vector<uint8_t>& codes() const { return codes_; }  // packed, [H, K, N]
  const std::vector<float>& scales() const { return scales_; }

 private:
  lowbit_weight_desc desc() const;

  const Bench& bench_;
  ProjectionShape shape_;
  std::vector<uint8_t> codes_;
  std::vector<float> scales_;
  Weight cpu_;
  std::vector<Weight> gpu_;
};

class Projection {
 public:
  Projection(const Bench& bench, const ProjectionShape& shape, std::shared_ptr<Weights> weights);

  const Bench& bench() const { return bench_; }
  const ProjectionShape& shape() const { return shape_; }
  Weights& weights() const { return *weights_; }
  int copies() const { return static_cast<int>(sets_.size()); }
  const std::vector<uint8_t>& codes() const { return codes_; }  // [B, Hi, T, K]
  const std::vector<float>& scales() const { return scales_; }  // a token
  // Of a set of operands on the GPU: codes, scales, and room for the outputs as floats, [B, H or 1, T, N].
  const Buffer& values(int copy) const { return sets_[static_cast<size_t>(copy)].values; }
  const Buffer& value_scales(int copy) const { return sets_[static_cast<size_t>(copy)].scales; }
  const Buffer& output(int copy) const { return sets_[static_cast<size_t>(copy)].output; }

  // The outputs of the first and of the last token, [2][H or 1][N], of a set.
  std::vector<float> outputs_of(int copy) const;
  // Throws unless `got` are the cpu backend's, bit for bit.
  void verify(std::span<const float> got) const;

 private:
  struct Set {
    Buffer values, scales, output;
  };
  std::vector<float> compute_on_cpu();

  const Bench& bench_;
  ProjectionShape shape_;
  std::shared_ptr<Weights> weights_;
  std::vector<uint8_t> codes_;
  std::vector<float> scales_;
  std::vector<Set> sets_;
  std::vector<float> expected_;  // as outputs_of()
};

// Those who compute it. Throws unless the outputs of every set are right.
Subject make_lowbit(std::shared_ptr<Projection> projection);
Subject make_naive(std::shared_ptr<Projection> projection);     // int8 weights
Subject make_cublaslt(std::shared_ptr<Projection> projection);  // int8 weights, H = 1

}  // namespace lowbit::bench
