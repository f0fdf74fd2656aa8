// A panel of 32 columns times rows of activations by dp4a: with lane = 4 g + t, a lane sums the columns 4g..4g+3 over
// its own share of K.
#pragma once

#include "ptx.h"
#include "split_k.h"

namespace lowbit::core::cuda {

template <lowbit_format kFormat, bool kSigned, int kRows>
struct LaneSums {
  int columns[kRows][4] = {};
  int activations[kRows] = {};

  // Four steps of K: `quad` has the four bytes of each column, `a` the row's four codes.
  __device__ __forceinline__ void add(int row, const uint4& quad, uint32_t a) {
#pragma unroll
    for (int c = 0; c < 4; ++c) columns[row][c] = dot4<kSigned>(component(quad, c), a, columns[row][c]);
    if constexpr (Weights<kFormat>::kOffset) activations[row] = dot4<kSigned>(0x01010101u, a, activations[row]);
  }

  // The warp's sums over w, into the block's.
  __device__ __forceinline__ void hand_over(TileSums<kRows>& sums, int g, int t) {
#pragma unroll
    for (int row = 0; row < kRows; ++row) {
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        int sum = Weights<kFormat>::signed_sum(columns[row][c], activations[row]);
        sum += __shfl_xor_sync(kAllLanes, sum, 1);
        sum += __shfl_xor_sync(kAllLanes, sum, 2);
        if (t == 0) sums.of_warp(row, 4 * g + c) = sum;
      }
    }
  }
};

}  // namespace lowbit::core::cuda
