// Both projections as the one problem that the kernels solve: Z matrix products, each summed over S segments of K.
//
//   out[z][m][n] = sum_s sum_k a[m][head(z, s)][k] * w[z + s][k][n]          m = b * T + t < M, n < N
//
//   lowrank_projection  Z = H, S = 1, K = E; head is z, or 0 where the input has one head
//   decoder_tail        Z = 1, S = H, K = l; head is s
#pragma once

#include <cstdint>

#include "divisor.h"
#include "layout.h"
#include "operations.h"
#include "status.h"
#include "weight.h"

namespace lowbit::core::cuda {

struct Problem {
  const uint32_t* values;  // [B, Hi, T] rows of codes in words, or of floats
  const uint8_t* weights;  // panel32 [H][N/32]...
  const float* input_scales;
  const float* weight_scales;
  float* out;              // [B, Z, T] rows
  int64_t value_stride;    // words
  int64_t segment_values;  // words from a row's segment to its next
  int64_t out_stride;      // floats
  int M;                   // rows: B * T
  Divisor T;
  int input_batch;  // rows of a batch of the input: Hi * T
  int input_head;   // rows from a head of the input to the next: T, or 0 where one serves all
  int K, N;
  int Z, S;
  Divisor segment_steps;   // a warp's steps through a panel of one segment
  int64_t segment_chunks;  // of 16 bytes, from a panel to the same one of the next matrix
  int64_t panel_chunks;
  int weight_columns;  // per channel: scales of a matrix; 0 where one serves all
  bool scale_a_row;    // input_scales has one for each group of activations; else it has one
  int scale_batch;     // groups of a batch: as input_batch, or T
  float input_scale;   // where input_scales is NULL
  float threshold;
  bool use_threshold;
  int wide_K;        // K where rows of activations start at multiples of 16 bytes, else 0
  bool wide_stores;  // rows of the output do
};

// LOWBIT_UNSUPPORTED where a size is past what kernels count in 32 bits.
Status make_problem(const LowrankProjection& op, Problem* problem);
Status make_problem(const DecoderTail& op, Problem* problem);

}  // namespace lowbit::core::cuda
