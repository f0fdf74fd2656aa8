// Both projections as the one problem that the kernels solve: Z matrix products, each summed over S segments of K.
//
//   out[z][m][n] = sum_s sum_k a[m][head(z, s)][k] * w[z + s][k][n]          m = b * T + t < M, n < N
//
//   lowrank_projection  Z = H, S = 1, K = E; head is z, or 0 where the input has one head
//   decoder_tail        Z = 1, S = H, K = l; head is s
//
// K is summed in slices, and a dispatch works on a piece: some of z, m, panels and slices. Here is where the operands
// of a piece lie; shaders/projection.glsl and results.glsl work out the same.
#pragma once

#include "layout.h"
#include "operations.h"
#include "recording.h"
#include "weight.h"

namespace lowbit::core::vulkan {

// How K is cut: a slice is all of several segments, or some rows of one. A row of a panel is `depth` steps of K.
struct Slices {
  int64_t segments = 1, rows = 1;  // of a slice
  int64_t parts = 1;               // slices of a segment, where it has several
  int64_t count = 1;
};

struct Interval {
  int64_t first, count;
  int64_t last() const { return first + count - 1; }
  int64_t end() const { return first + count; }
};

struct Piece {
  Interval m, z, panels, slices;
};

// As in shaders/projection.glsl, behind `origin`.
struct ProjectionPush {
  uint32_t m_first, m_count, z_first, z_count, panel_first, panel_count, slice_first, slice_count;
  uint32_t T, K, N, M, Z, S;
  uint32_t slice_segments, slice_rows;
  uint32_t value_stride, batch_rows, head_rows;
  uint32_t panel_chunks, panels;
  uint32_t flags, input_scale, weight_columns;
  uint32_t out_stride, threshold;
};

struct Problem {
  const char* operation;
  ActivationOperand input;
  const Weight* weight;
  Tensor output;
  std::optional<float> threshold;
  int64_t M, T, K, N, Z, S;
  int64_t batch_rows;                   // rows of activations of a batch
  int64_t head_rows;                    // from a head to the next: T, or 0 where one serves all
  int64_t scale_batch;                  // groups of a batch
  int64_t depth;                        // steps of K in a row of a panel
  int64_t row_words;                    // words of activations that meet it
  int64_t panel_chunks, weight_panels;  // 16 bytes each, and of a matrix
  Slices slices = {};

  uint32_t weight_bits() const { return 8 / static_cast<uint32_t>(codes_per_byte(weight->format())); }
  bool is_float() const { return input.format == LOWBIT_F32; }
  int64_t panels() const { return ceil_div(N, kPanel32Columns); }  // that outputs are wanted of
  int64_t segment_rows() const { return ceil_div(K, depth); }
  int64_t segment_words() const { return is_float() ? K : ceil_div(K, LOWBIT_CODES_PER_WORD); }
  int64_t segment_values() const { return head_rows * input.values.row_stride; }  // words from one to the next
  int64_t matrix_chunks() const { return weight_panels * panel_chunks; }

  Range values(const Piece& piece) const;
  Range weights(const Piece& piece) const;
  Range input_scales(const Piece& piece) const;
  Range weight_scales(const Piece& piece) const;
  Range outputs(const Piece& piece) const;
  // [z][m][panel][slice][32] words from `partials` on.
  Range partials(const Location& partials, const Piece& piece) const;
  size_t partial_size() const;

  Piece whole() const { return {{0, M}, {0, Z}, {0, panels()}, {0, slices.count}}; }
  // Products of a piece, whole panels.
  int64_t work(const Piece& piece) const;
  ProjectionPush push(const Piece& piece) const;

 private:
  struct Place {
    int64_t segment, row;
  };
  Place begin_of(int64_t slice) const {
    return {slice / slices.parts * slices.segments, slice % slices.parts * slices.rows};
  }
  Place last_of(int64_t slice) const;
  int64_t value_row(int64_t m, int64_t head) const;
  int64_t group(int64_t m, int64_t z) const;
  int64_t output_row(int64_t m, int64_t z) const;
  int64_t partial(int64_t m, int64_t z, int64_t panel, int64_t slice) const;
};

// LOWBIT_UNSUPPORTED where a size is past what kernels count in 32 bits.
Status make_problem(const LowrankProjection& op, Problem* problem);
Status make_problem(const DecoderTail& op, Problem* problem);

}  // namespace lowbit::core::vulkan
