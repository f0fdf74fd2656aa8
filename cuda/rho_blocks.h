// What rho_compress and rho_expand share: how a warp goes through 32 blocks of 32 values, and packed bytes.
//
//   value of the warp's 1024   0-3  4-7  ...  28-31 | 32-35 ...  | ... 124-127 | 128-131 ...
//   in lane                     0    1          7   |  8    ...  |        31   |   0
//   in step                     0               0   |  0         |         0   |   1
//   in block                    0               0   |  1         |         3   |   4
//
// So a step is 512 bytes of floats and four blocks, eight lanes each. Its codes are kWarp / kSharers words of 32 bits,
// each shared by kSharers neighbouring lanes; the warp's codes are kBits words a lane.
#pragma once

#include <cuda_runtime.h>

#include <type_traits>

#include "operations.h"
#include "warp.h"
#include "words.h"

namespace lowbit::core::cuda {

constexpr int kRhoThreads = 64;                        // of a block: few, so that a small state fills the device
constexpr int kBlockLanes = LOWBIT_RHO_BLOCK / kWord;  // 8
constexpr int kStepBlocks = kWarp / kBlockLanes;       // 4
constexpr int kStepValues = kWarp * kWord;             // 128
constexpr int kSteps = kWarp / kStepBlocks;            // 8, after which there is a block a lane
constexpr int kWarpValues = kSteps * kStepValues;      // 1024

template <lowbit_format kEncoding>
constexpr int kBits = kEncoding == LOWBIT_INT8      ? 8
                      : kEncoding == LOWBIT_TERNARY ? 2
                                                    : 1;  // of a code
template <lowbit_format kEncoding>
constexpr int kSharers = 32 / (kWord * kBits<kEncoding>);

// A float tensor that is compressed or expanded to: `n` values in rows of `length`, `pitch` apart.
template <typename Float>
struct RhoValues {
  Float* data;
  int64_t n, length, pitch;
};

template <typename Float>
RhoValues<Float> rho_values(const Tensor& t, int64_t n) {
  return {row<Float>(t, 0), n, row_length(t), t.row_stride};
}

// In one piece, and made of whole words on 16 bytes.
template <typename Float>
bool is_whole(const RhoValues<Float>& v) {
  return v.pitch == v.length && v.n % kWord == 0 && is_aligned_16(v.data);
}
template <bool kWhole>
using RhoWalk = std::conditional_t<kWhole, OneRow<int64_t>, Cursor<int64_t>>;

// Blocks of the grid.
inline unsigned rho_grid(int64_t n) { return static_cast<unsigned>(ceil_div(n, kWarpValues * (kRhoThreads / kWarp))); }

__device__ __forceinline__ int64_t first_value_of_warp() {
  return (int64_t{blockIdx.x} * (kRhoThreads / kWarp) + threadIdx.x / kWarp) * kWarpValues;
}

// A word of packed codes, which may start at any byte. It has `count` bytes, if no more than four.
__device__ __forceinline__ bool is_aligned_4(const void* at) { return reinterpret_cast<uintptr_t>(at) % 4 == 0; }

__device__ __forceinline__ void store_bytes(uint8_t* to, uint32_t word, int64_t count) {
  if (is_aligned_4(to) && count >= 4) {
    *reinterpret_cast<uint32_t*>(to) = word;
  } else {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (i < count) to[i] = static_cast<uint8_t>(word >> 8 * i);
    }
  }
}

__device__ __forceinline__ uint32_t load_bytes(const uint8_t* from, int64_t count) {
  if (is_aligned_4(from) && count >= 4) return __ldg(reinterpret_cast<const uint32_t*>(from));
  uint32_t word = 0;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if (i < count) word |= uint32_t{from[i]} << 8 * i;
  }
  return word;
}

}  // namespace lowbit::core::cuda
