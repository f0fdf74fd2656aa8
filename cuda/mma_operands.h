// A panel of 32 columns times octets of rows of activations, on the tensor cores: the fragments of mma.sync m16n8k32 as
// the lanes of a warp hold them. With lane = 4 g + t, mma number s (0, 1) of a pair of quads has for its rows g and
// g + 8 the columns 4g + 2s and 4g + 2s + 1, and the octet's rows are its columns. Its steps of K are the quads' of the
// four lanes of a group: 4 t + 0..3 stands for the first quad of lane t, 16 + 4 t + 0..3 for the second.
#pragma once

#include "projection.h"
#include "ptx.h"
#include "warp.h"

namespace lowbit::core::cuda {

template <lowbit_format kFormat, bool kSigned, int kOctets>
struct PanelSums {
  int pairs[kOctets][2][4] = {};  // [octet][s]: (4g+2s, 2t), (4g+2s, 2t+1), (4g+2s+1, 2t), (4g+2s+1, 2t+1)
  int activations[kOctets] = {};  // of row g over this lane's runs

  // `run` is the lane's share of row g of the octet: the steps of quads first_quad .. first_quad + 3.
  __device__ __forceinline__ void add(const Weights<kFormat>& w, int octet, int first_quad, const uint4& run) {
#pragma unroll
    for (int pair = 0; pair < 2; ++pair) {
      const uint4 low = w.quad(first_quad + 2 * pair), high = w.quad(first_quad + 2 * pair + 1);
      const uint32_t b0 = component(run, 2 * pair), b1 = component(run, 2 * pair + 1);
      mma_16x8x32<kSigned>(pairs[octet][0], {low.x, low.y, high.x, high.y}, b0, b1);
      mma_16x8x32<kSigned>(pairs[octet][1], {low.z, low.w, high.z, high.w}, b0, b1);
      if constexpr (Weights<kFormat>::kOffset) {
        activations[octet] = dot4<kSigned>(0x01010101u, b0, activations[octet]);
        activations[octet] = dot4<kSigned>(0x01010101u, b1, activations[octet]);
      }
    }
  }

  // Calls put(r, c, sum over w) for the lane's eight outputs of an octet: row 2t + r of it, column 4g + c of the panel.
  template <typename Put>
  __device__ __forceinline__ void finish(int octet, int t, Put&& put) {
    int of_row[2] = {};
    if constexpr (Weights<kFormat>::kOffset) {
      int sum = activations[octet];
      sum += __shfl_xor_sync(kAllLanes, sum, 1);
      sum += __shfl_xor_sync(kAllLanes, sum, 2);
      of_row[0] = __shfl_sync(kAllLanes, sum, 4 * (2 * t));
      of_row[1] = __shfl_sync(kAllLanes, sum, 4 * (2 * t + 1));
    }
#pragma unroll
    for (int column = 0; column < 4; ++column) {
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const int sum_u = pairs[octet][column / 2][column % 2 * 2 + r];
        put(r, column, Weights<kFormat>::signed_sum(sum_u, of_row[r]));
      }
    }
  }

  // Scales and stores the octet's outputs: rows m .. m + 7, of which the lane has m + 2t and m + 2t + 1, whose scales
  // are `inputs`, and its columns of the panel.
  __device__ __forceinline__ void store(const Problem& p, const FourColumns& columns, int octet, int m, int z,
                                        const float (&inputs)[2], int t) {
    int outputs[2][4];
    finish(octet, t, [&](int r, int c, int sum) { outputs[r][c] = sum; });
#pragma unroll
    for (int r = 0; r < 2; ++r) columns.store(p, m + 2 * t + r, z, inputs[r], outputs[r]);
  }
};

}  // namespace lowbit::core::cuda
