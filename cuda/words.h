// Words of four neighbouring values, and the way through the rows that they lie in.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "ptx.h"

namespace lowbit::core::cuda {

constexpr int kWord = 4;  // values

inline bool is_aligned_16(const void* data) { return reinterpret_cast<uintptr_t>(data) % 16 == 0; }

// Goes through the elements of rows of n in steps, without a division a step.
template <typename Index>
struct Cursor {
  Index row, column;
  Index row_step, column_step, n;

  __device__ Cursor(Index first, Index step, Index n_)
      : row(first / n_), column(first % n_), row_step(step / n_), column_step(step % n_), n(n_) {}
  __device__ void advance() {
    row += row_step;
    column += column_step;
    if (column >= n) column -= n, ++row;
  }
  __device__ void next() {
    if (++column == n) column = 0, ++row;
  }
};

// The same where there is one row: unrolled, its steps are offsets in the instructions.
template <typename Index>
struct OneRow {
  static constexpr Index row = 0;
  Index column, step;

  __device__ OneRow(Index first, Index step_, Index) : column(first), step(step_) {}
  __device__ void advance() { column += step; }
};

// The word that starts here, of which `left` values are there: at least one, and where kWhole, four on 16 bytes.
template <bool kWhole>
__device__ __forceinline__ float4 load_word(const float* from, int64_t left) {
  if constexpr (kWhole) return load_once(reinterpret_cast<const float4*>(from));
  return {from[0], left > 1 ? from[1] : 0.0f, left > 2 ? from[2] : 0.0f, left > 3 ? from[3] : 0.0f};
}

// The word at the cursor; where not kWhole, it may run on in the next row.
template <bool kWhole, typename Walk>
__device__ __forceinline__ float4 load_word(const float* data, int64_t pitch, Walk at, int64_t left) {
  if constexpr (kWhole) {
    return load_word<true>(data + at.row * pitch + at.column, left);
  } else {
    float x[kWord] = {};
#pragma unroll
    for (int i = 0; i < kWord; ++i) {
      if (i < left) x[i] = data[at.row * pitch + at.column];
      at.next();
    }
    return {x[0], x[1], x[2], x[3]};
  }
}

// Likewise, to where the cursor is.
template <bool kWhole, typename Walk>
__device__ __forceinline__ void store_word(float* data, int64_t pitch, Walk at, int64_t left, float4 word) {
  if constexpr (kWhole) {
    reinterpret_cast<float4*>(data)[(at.row * pitch + at.column) / kWord] = word;
  } else {
    const float x[kWord] = {word.x, word.y, word.z, word.w};
#pragma unroll
    for (int i = 0; i < kWord; ++i) {
      if (i < left) data[at.row * pitch + at.column] = x[i];
      at.next();
    }
  }
}

}  // namespace lowbit::core::cuda
