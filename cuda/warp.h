// Warp-wide and block-wide pieces.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace lowbit::core::cuda {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

// `combine` over all lanes, the result in every lane.
template <typename T, typename Combine>
__device__ __forceinline__ T warp_reduce(T value, Combine combine) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value = combine(value, __shfl_xor_sync(kAllLanes, value, distance));
  }
  return value;
}

}  // namespace lowbit::core::cuda
