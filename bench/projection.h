// The operands of a projection: packed activations in, a scale a token in device memory, floats out. lowbit and its
// peers compute the same outputs from them.
#pragma once

#include <span>

#include "bench.h"

namespace lowbit::bench {

// Activations in int8. lowrank_projection: x [B, Hi, T, K] with w [H, K, N]; decoder_tail: y [B, H, T, K] with w [H*K,
// N], and Hi is H.
struct ProjectionShape {
  lowbit_operation operation = LOWBIT_LOWRANK_PROJECTION;
  lowbit_format weights = LOWBIT_INT8;
  int64_t B = 1, Hi = 1, H = 1, T, K, N;
  double nonzero = 1;  // share of the activations' codes that may be other than 0

  bool is_tail() const { return operation == LOWBIT_DECODER_TAIL; }
  int64_t tokens() const { return B * T; }
  int64_t output_heads() const { return is_tail() ? 1 : H; }
  int64_t input_scales() const { return is_tail() ? B * T : B * Hi * T; }
  int64_t weight_scales() const { return output_heads() * N; }
  uint64_t weight_bytes() const { return lowbit_packed_weight_size(weights, static_cast<uint64_t>(H * K * N)); }
  // What a call must move. Of the weights: those that some code other than 0 multiplies.
  double bytes() const;
  double operations() const { return 2.0 * static_cast<double>(B * H * T * K * N); }
  std::string weight_name() const;  // "lowrank_projection/int8_int8/H4_K256_N128"
  std::string name() const;         // the same with the tokens
};

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
