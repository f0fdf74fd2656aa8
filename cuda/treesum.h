// A segment of treesum (docs/numerics.md) by a team of 32 or 8 lanes of a warp, without shared memory.
//
// Values come in words of four neighbours, word w of the segment to lane w % kTeam. It adds to four of treesum's 256
// sums, those of place w % 64, and the places that a lane serves are registers of its own (here kTeam = 32):
//
//   word             0     1   ...   31  |   32   ...   63  |   64   ...
//   adds to sums    0-3   4-7     124-127| 128-131   252-255|  0-3        the four of a word in one float4
//   of lane          0     1         31  |    0          31 |   0
//   in register      0     0          0  |    1           1 |   0
//
// So the tree's first strides add registers of a lane, those down to 4 are shuffles, and 2 and 1 lie inside a word.
// What is missing counts as +0 and is left out. The maximum goes the same way, though it has no order to keep.
#pragma once

#include <cuda_runtime.h>

#include "numbers.h"
#include "warp.h"
#include "words.h"

namespace lowbit::core::cuda {

constexpr int kSegmentWords = LOWBIT_TREESUM_SEGMENT / kWord;  // 1024
constexpr int kPlaces = LOWBIT_TREESUM_LANES / kWord;          // 64: words that are added up separately

struct Sum {
  __device__ float operator()(float a, float b) const { return __fadd_rn(a, b); }
};
// Of what is not negative: the bits order like the floats, with infinity and NaN on top.
struct Largest {
  __device__ float operator()(float a, float b) const {
    return __int_as_float(max(__float_as_int(a), __float_as_int(b)));
  }
};

template <typename Function>
__device__ __forceinline__ float4 per_value(float4 a, float4 b, Function f) {
  return {f(a.x, b.x), f(a.y, b.y), f(a.z, b.z), f(a.w, b.w)};
}

__device__ __forceinline__ float4 shuffle_xor(float4 v, int distance) {
  return {__shfl_xor_sync(kAllLanes, v.x, distance), __shfl_xor_sync(kAllLanes, v.y, distance),
          __shfl_xor_sync(kAllLanes, v.z, distance), __shfl_xor_sync(kAllLanes, v.w, distance)};
}

// The strides 2 and 1.
template <typename Combine>
__device__ __forceinline__ float fold(float4 v, Combine combine) {
  return combine(combine(v.x, v.z), combine(v.y, v.w));
}

template <typename Combine, int kTeam>
class TreeReduction {
 public:
  // Word m of this lane, in rising order of m, which is known at compile time. Of a value only `counted_bits` count
  // (scale.h), but any that is not finite shows: 0 times it is NaN.
  __device__ void add(int m, float4 x, int counted_bits) {
    const Combine combine;
    const auto count = [&](float sum, float value) {
      not_finite_ = __fmaf_rn(value, 0.0f, not_finite_);
      return combine(sum, __int_as_float(max(__float_as_int(value) & counted_bits, 0)));
    };
    sums_[m % kRegisters] = per_value(sums_[m % kRegisters], x, count);
  }

  // In every lane: both ends of a shuffle add the same two values. NaN, or infinity, where it was not finite.
  __device__ float total() {
    const Combine combine;
    if (not_finite_ != 0) sums_[0].x = __uint_as_float(LOWBIT_NAN_BITS);
#pragma unroll
    for (int half = kRegisters / 2; half > 0; half /= 2) {
#pragma unroll
      for (int i = 0; i < half; ++i) sums_[i] = per_value(sums_[i], sums_[i + half], combine);
    }
#pragma unroll
    for (int distance = kTeam / 2; distance > 0; distance /= 2) {
      sums_[0] = per_value(sums_[0], shuffle_xor(sums_[0], distance), combine);
    }
    return fold(sums_[0], combine);
  }

 private:
  static constexpr int kRegisters = kPlaces / kTeam;
  float4 sums_[kRegisters] = {};
  float not_finite_ = 0;  // 0 or NaN
};

}  // namespace lowbit::core::cuda
