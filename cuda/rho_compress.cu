// rho_compress: n floats, flattened -> blocks of 32, a scale and 32 codes of 8, 2 or 1 bits each, bit for bit
// docs/numerics.md. Bound by memory: int8 moves 5.125 bytes a value, 1.07 ns a thousand values at an H200's 4.8 TB/s,
// ternary 4.375 and binary 4.25, against some 15 operations a value.
//
// A warp compresses 32 blocks (rho_blocks.h), each value read once, into a register. Eight lanes hold a block, eight
// steps give each lane as many: so eight blocks are reduced together, each halving of the distance between lanes also
// halving the blocks a lane is in charge of. That takes 7 shuffles of a word instead of 24, keeps the order of treesum,
// and leaves every lane with the total of one block, whose scale it works out and stores. A tensor with gaps between
// its rows, or off 16 bytes, is read by 4 bytes.
#include "kernels.h"
#include "launch.h"
#include "rho_blocks.h"
#include "scale.h"
#include "treesum.h"

namespace lowbit::core::cuda {
namespace {

struct Packed {
  uint8_t* codes;
  int64_t bytes;
  float* scales;
};

struct Factors {
  float whole, last;  // of the scale: of a block, and of the last one where it is short
};

__device__ __forceinline__ float exchange(float v, int distance) { return __shfl_xor_sync(kAllLanes, v, distance); }
__device__ __forceinline__ float4 exchange(float4 v, int distance) { return shuffle_xor(v, distance); }

// x[m] belongs to the block of step m. Leaves the total over the eight lanes of step `lane % 8` in x[0].
template <typename T, typename Combine>
__device__ __forceinline__ void reduce_steps(T (&x)[kSteps], Combine combine) {
  const int lane = threadIdx.x % kBlockLanes;
#pragma unroll
  for (int half = kSteps / 2; half > 0; half /= 2) {
    const bool keeps_upper = (lane & half) != 0;
#pragma unroll
    for (int m = 0; m < half; ++m) {
      const T kept = keeps_upper ? x[m + half] : x[m], given = keeps_upper ? x[m] : x[m + half];
      x[m] = combine(kept, exchange(given, half));
    }
  }
}

__device__ __forceinline__ float4 magnitudes(float4 x) { return {fabsf(x.x), fabsf(x.y), fabsf(x.z), fabsf(x.w)}; }

// The maximum, or treesum, of the block that the lane is in charge of; not finite where a value was not.
template <lowbit_format kEncoding>
__device__ __forceinline__ float block_total(const float4 (&x)[kSteps]) {
  if constexpr (kEncoding == LOWBIT_INT8) {
    const Largest largest;
    float words[kSteps];
#pragma unroll
    for (int m = 0; m < kSteps; ++m) words[m] = fold(magnitudes(x[m]), largest);
    reduce_steps(words, largest);
    return words[0];
  } else {
    const Sum sum;
    float4 words[kSteps];
#pragma unroll
    for (int m = 0; m < kSteps; ++m) words[m] = magnitudes(x[m]);
    reduce_steps(words, [&](float4 a, float4 b) { return per_value(a, b, sum); });
    return fold(words[0], sum);
  }
}

// Four codes as they are stored, the first in the low bits. A NaN scale makes every comparison false.
// int8 takes the inverse of the scale.
template <lowbit_format kEncoding>
__device__ __forceinline__ uint32_t stored_codes(float4 x, float scale) {
  if constexpr (kEncoding == LOWBIT_INT8) {
    return Coder(scale, {-LOWBIT_QMAX_INT8, LOWBIT_QMAX_INT8}).word(x);
  } else {
    const auto code = [&](float v) -> uint32_t {
      if (kEncoding == LOWBIT_BINARY) return v >= 0 && scale > 0;
      return fabsf(v) >= scale ? (v >= 0 ? 2 : 0) : 1;
    };
    constexpr int kWidth = kBits<kEncoding>;
    return code(x.x) | code(x.y) << kWidth | code(x.z) << 2 * kWidth | code(x.w) << 3 * kWidth;
  }
}

// The codes of the lanes that share a word, in each of them.
template <int kLanes>
__device__ __forceinline__ uint32_t join(uint32_t codes) {
  uint32_t word = codes << 32 / kLanes * (threadIdx.x % kLanes);
#pragma unroll
  for (int distance = 1; distance < kLanes; distance *= 2) word |= __shfl_xor_sync(kAllLanes, word, distance);
  return word;
}

template <lowbit_format kEncoding, bool kWhole>
__global__ void __launch_bounds__(kRhoThreads)
    compress(const RhoValues<const float> values, const Factors factors, const Packed packed) {
  constexpr int kLanes = kSharers<kEncoding>;
  const int64_t start = first_value_of_warp();
  if (start >= values.n) return;
  const int lane = threadIdx.x % kWarp;
  // Values from the lane's first on.
  const int left = static_cast<int>(min(values.n - start, int64_t{kWarpValues})) - kWord * lane;
  float4 x[kSteps];
  RhoWalk<kWhole> at(start + kWord * lane, kStepValues, values.length);
#pragma unroll
  for (int m = 0; m < kSteps; ++m) {
    const int rest = left - m * kStepValues;
    x[m] = rest > 0 ? load_word<kWhole>(values.data, values.pitch, at, rest) : float4{};
    at.advance();
  }

  // The block that the lane is in charge of.
  const int64_t block = start / LOWBIT_RHO_BLOCK + lane % kBlockLanes * kStepBlocks + lane / kBlockLanes;
  const bool is_short = (block + 1) * LOWBIT_RHO_BLOCK > values.n;
  const float scale = scale_of(block_total<kEncoding>(x), is_short ? factors.last : factors.whole);
  if (block * LOWBIT_RHO_BLOCK < values.n) packed.scales[block] = scale;

  // A step's word is in all lanes that share it; by the end each of them has kept as many as the others.
  const float own = kEncoding == LOWBIT_INT8 ? __frcp_rn(scale) : scale;
  uint32_t kept[kSteps / kLanes];
#pragma unroll
  for (int m = 0; m < kSteps; ++m) {
    const float shared = __shfl_sync(kAllLanes, own, m, kBlockLanes);
    uint32_t codes = stored_codes<kEncoding>(x[m], shared);
    if constexpr (kEncoding != LOWBIT_INT8) {  // the bits of values that are not there are 0
      const int count = max(min(left - m * kStepValues, kWord), 0);
      codes &= (1u << kBits<kEncoding> * count) - 1;
    }
    const uint32_t word = join<kLanes>(codes);
    if (m % kLanes == lane % kLanes) kept[m / kLanes] = word;
  }
#pragma unroll
  for (int k = 0; k < kSteps / kLanes; ++k) {
    const int word = (k * kLanes + lane % kLanes) * (kWarp / kLanes) + lane / kLanes;
    const int64_t byte = start * kBits<kEncoding> / 8 + 4 * word;
    store_bytes(packed.codes + byte, kept[k], packed.bytes - byte);
  }
}

template <lowbit_format kEncoding>
Status compress_to(Stream& stream, const RhoCompress& op) {
  const auto values = rho_values<const float>(op.input, op.n);
  const int64_t block = LOWBIT_RHO_BLOCK, last = op.n % block == 0 ? block : op.n % block;
  const auto factor = [](int64_t n) {
    return (kEncoding == LOWBIT_INT8 ? scaling_of_codes(kEncoding, LOWBIT_ABSMAX, n) : scaling_of_signs(n)).factor;
  };
  const Packed packed{row<uint8_t>(op.packed, 0), packed_size(kEncoding, op.n), row<float>(op.scales, 0)};
  const Grid grid{rho_grid(op.n), kRhoThreads};
  const Factors factors{factor(block), factor(last)};
  return is_whole(values) ? launch<compress<kEncoding, true>>(stream, grid, values, factors, packed)
                          : launch<compress<kEncoding, false>>(stream, grid, values, factors, packed);
}

}  // namespace

Status rho_compress(Stream& stream, const RhoCompress& op) {
  switch (op.encoding) {
    case LOWBIT_TERNARY:
      return compress_to<LOWBIT_TERNARY>(stream, op);
    case LOWBIT_BINARY:
      return compress_to<LOWBIT_BINARY>(stream, op);
    default:
      return compress_to<LOWBIT_INT8>(stream, op);
  }
}

}  // namespace lowbit::core::cuda
