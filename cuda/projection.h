// What the kernels of both projections share: reading activations and weights, and storing outputs.
#pragma once

#include <cuda_runtime.h>

#include "problem.h"

namespace lowbit::core::cuda {

// The instantiation for the operands' formats: function.template operator()<format of the weights, signed
// activations>().
template <typename Function>
Status for_formats(const Weight& weight, lowbit_format activations, Function&& function) {
  const bool is_signed = activations != LOWBIT_UINT8;
  switch (weight.format()) {
    case LOWBIT_TERNARY:
      return is_signed ? function.template operator()<LOWBIT_TERNARY, true>()
                       : function.template operator()<LOWBIT_TERNARY, false>();
    case LOWBIT_BINARY:
      return is_signed ? function.template operator()<LOWBIT_BINARY, true>()
                       : function.template operator()<LOWBIT_BINARY, false>();
    default:
      return is_signed ? function.template operator()<LOWBIT_INT8, true>()
                       : function.template operator()<LOWBIT_INT8, false>();
  }
}

// ---- Activations -----------------------------------------------------------------------------------------------------

// The row of (m, z), of the first segment; that of segment s is s * p.segment_values further.
__device__ __forceinline__ const uint32_t* input_row(const Problem& p, int m, int z) {
  const int batch = p.T.divide(m);
  return p.values + (batch * p.input_batch + m - batch * p.T.value + z * p.input_head) * p.value_stride;
}

// The first `count` codes of a word; the others, and all where count is not positive, become 0.
__device__ __forceinline__ uint32_t keep_codes(uint32_t word, int count) {
  return count >= 4 ? word : count <= 0 ? 0u : word & ((1u << 8 * count) - 1);
}

// Codes k..k+3 of a row; those from K on are 0. k is a multiple of 4.
__device__ __forceinline__ uint32_t load_quad(const Problem& p, const uint32_t* row, int k) {
  return k < p.K ? keep_codes(row[k / 4], p.K - k) : 0u;
}

// Codes k..k+15 of a row; those from K on are 0. k is a multiple of 16.
__device__ __forceinline__ uint4 load_run(const Problem& p, const uint32_t* row, int k) {
  if (k + 16 <= p.wide_K) return *reinterpret_cast<const uint4*>(row + k / 4);
  return {load_quad(p, row, k), load_quad(p, row, k + 4), load_quad(p, row, k + 8), load_quad(p, row, k + 12)};
}

// ---- Weights ---------------------------------------------------------------------------------------------------------

// A lane's share of a warp's step through a panel of 32 columns: with lane = 4 g + t, the columns 4g..4g+3 over a run
// of 16 (binary: 32) steps of K that starts at run t. Codes are kept as unsigned bytes u: int8 as it is, ternary w + 1,
// binary (w + 1) / 2; signed_sum() corrects the sums.
template <lowbit_format kFormat>
struct Weights {
  static constexpr int kStep = static_cast<int>(panel32_step(kFormat));  // steps of K
  static constexpr int kRun = kStep / 4;                                 // of them a lane's
  static constexpr int kQuads = kRun / 4;
  static constexpr int kLoads = kFormat == LOWBIT_INT8 ? 4 : 1;
  static constexpr int kRows = 4 * kLoads;  // of a panel, a step
  static constexpr bool kOffset = kFormat != LOWBIT_INT8;

  uint4 words[kLoads];

  // Where load i of a step is, in chunks from the panel's first. `step` counts within the panel.
  static __device__ __forceinline__ int chunk(int step, int g, int t, int i) {
    return static_cast<int>(panel32_chunk(step * kRows + t * kLoads + i, g));
  }

  // Steps 4j..4j+3 of a row of the panel, four bytes a column.
  static __device__ __forceinline__ uint4 quad_of_row(const uint4& w, int j) {
    if constexpr (kFormat == LOWBIT_INT8) return w;
    constexpr int kShift = kFormat == LOWBIT_TERNARY ? 2 : 1;
    constexpr uint32_t kMask = kFormat == LOWBIT_TERNARY ? 0x03030303u : 0x01010101u;
    return {w.x >> kShift * j & kMask, w.y >> kShift * j & kMask, w.z >> kShift * j & kMask, w.w >> kShift * j & kMask};
  }
  // The same of the run.
  __device__ __forceinline__ uint4 quad(int j) const { return quad_of_row(words[j % kLoads], j); }

  // The sum over w from the sum over u and the activations' own sum.
  static __device__ __forceinline__ int signed_sum(int sum_u, int sum_a) {
    if constexpr (kFormat == LOWBIT_TERNARY) return sum_u - sum_a;
    if constexpr (kFormat == LOWBIT_BINARY) return 2 * sum_u - sum_a;
    return sum_u;
  }
};

// A panel of the first segment; that of segment s is s * p.segment_chunks further.
__device__ __forceinline__ const uint4* panel_of(const Problem& p, int z, int panel) {
  return reinterpret_cast<const uint4*>(p.weights) + z * p.segment_chunks + panel * p.panel_chunks;
}

// Index into a uint4 as of an array; `i` is known when compiled.
__device__ __forceinline__ uint32_t component(const uint4& v, int i) {
  return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w;
}

// ---- Outputs ---------------------------------------------------------------------------------------------------------

__device__ __forceinline__ float input_scale(const Problem& p, int m, int z) {
  if (p.input_scales == nullptr) return p.input_scale;
  if (!p.scale_a_row) return p.input_scales[0];
  const int batch = p.T.divide(m);
  return p.input_scales[batch * p.scale_batch + z * p.input_head + m - batch * p.T.value];
}

__device__ __forceinline__ float weight_scale(const Problem& p, int z, int n) {
  return p.weight_scales[p.weight_columns == 0 ? 0 : static_cast<int64_t>(z) * p.weight_columns + n];
}

__device__ __forceinline__ float* output_row(const Problem& p, int m, int z) {
  const int batch = p.T.divide(m);
  return p.out + ((batch * p.Z + z - batch) * p.T.value + m) * p.out_stride;
}

// An f32 of a sum, scaled: docs/numerics.md, "Projections".
__device__ __forceinline__ float scaled(const Problem& p, float sum, float input, float weight) {
  const float out = __fmul_rn(sum, __fmul_rn(input, weight));
  if (!p.use_threshold) return out;
  const float d = __fsub_rn(out, p.threshold);
  return d > 0 || d != d ? d : 0.0f;
}

// The columns n..n+3 of outputs. n is a multiple of 4.
struct FourColumns {
  int n;
  float scales[4];

  __device__ __forceinline__ FourColumns(const Problem& p, int z, int first) : n(first) {
#pragma unroll
    for (int i = 0; i < 4; ++i) scales[i] = n + i < p.N ? weight_scale(p, z, n + i) : 0.0f;
  }
  // Scales and stores the outputs of a row, those that are wanted. `input` is the row's scale: to be asked for early.
  __device__ __forceinline__ void store(const Problem& p, int m, int z, float input, const int (&sums)[4]) const {
    if (m >= p.M || n >= p.N) return;
    float* out = output_row(p, m, z) + n;
    float outputs[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) outputs[i] = scaled(p, __int2float_rn(sums[i]), input, scales[i]);
    if (p.wide_stores && n + 4 <= p.N) {
      *reinterpret_cast<float4*>(out) = {outputs[0], outputs[1], outputs[2], outputs[3]};
      return;
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (n + i < p.N) out[i] = outputs[i];
    }
  }
};

}  // namespace lowbit::core::cuda
