// The shape of a projection of int8 activations, what it takes, and the call.
#pragma once

#include <cstdint>
#include <string>

#include "lowbit/lowbit.hpp"

namespace lowbit::bench {

// lowrank_projection: x [B, Hi, T, K] with w [H, K, N]; decoder_tail: y [B, H, T, K] with w [H*K, N], and Hi is H.
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

// Operands of one call in memory of the stream's device: codes, a scale a token, floats; for T tokens of each of B.
struct ProjectionCall {
  int64_t B, T;
  void *values, *scales, *output;
  const lowbit_weight* weight;
};

void project(const Stream& stream, const ProjectionShape& shape, const ProjectionCall& call);

}  // namespace lowbit::bench
