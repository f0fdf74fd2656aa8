// rho_expand: blocks of 32 codes of 8, 2 or 1 bits with a scale each -> floats, code * scale, one rounding. Bound by
// memory: int8 moves 5.125 bytes a value, 1.07 ns a thousand values at an H200's 4.8 TB/s, ternary 4.375 and binary
// 4.25, against some 4 operations a value.
//
// A warp expands 32 blocks (rho_blocks.h): each lane loads a scale and its share of the codes by whole words, shuffles
// hand them to the lanes that write the values, 512 consecutive bytes a step. A ternary code 3 is refused, which shows
// once the call has run; what it expands to means nothing.
#include "kernels.h"
#include "launch.h"
#include "refusal.h"
#include "rho_blocks.h"

namespace lowbit::core::cuda {
namespace {

struct Packed {
  const uint8_t* codes;
  int64_t bytes;
  const float* scales;
};

// The lane's four codes of step m, in the low bits. `words` are the lane's own: kWarp lanes hold the warp's in order.
template <lowbit_format kEncoding>
__device__ __forceinline__ uint32_t codes_of_step(const uint32_t (&words)[kBits<kEncoding>], int m, int lane) {
  constexpr int kLanes = kSharers<kEncoding>;
  if constexpr (kLanes == 1) {
    return words[m];
  } else {
    const int holder = m % kLanes * (kWarp / kLanes) + lane / kLanes;
    return __shfl_sync(kAllLanes, words[m / kLanes], holder) >> 32 / kLanes * (lane % kLanes);
  }
}

template <lowbit_format kEncoding>
__device__ __forceinline__ float value_of(uint32_t codes, int i, float scale) {
  const uint32_t code = codes >> kBits<kEncoding> * i;
  float value;
  if constexpr (kEncoding == LOWBIT_INT8) value = static_cast<float>(static_cast<int8_t>(code));
  if constexpr (kEncoding == LOWBIT_TERNARY) value = static_cast<float>(static_cast<int>(code & 3) - 1);
  if constexpr (kEncoding == LOWBIT_BINARY) value = (code & 1) != 0 ? 1.0f : -1.0f;
  return __fmul_rn(value, scale);
}

// Refuses the first ternary code 3 of the `count` (at least one) at `index`.
__device__ __forceinline__ void check_codes(uint32_t codes, int count, int64_t index, unsigned long long* refused) {
  const uint32_t invalid = codes & codes >> 1 & 0x55 & ((1u << 2 * min(count, kWord)) - 1);
  if (invalid != 0) refuse(refused, Refusal::ternary_code, index + __ffs(static_cast<int>(invalid)) / 2);
}

template <lowbit_format kEncoding, bool kWhole>
__global__ void __launch_bounds__(kRhoThreads)
    expand(const Packed packed, const RhoValues<float> values, unsigned long long* const refused) {
  const int64_t start = first_value_of_warp();
  if (start >= values.n) return;
  const int lane = threadIdx.x % kWarp;
  // Values from the lane's first on.
  const int left = static_cast<int>(min(values.n - start, int64_t{kWarpValues})) - kWord * lane;

  uint32_t words[kBits<kEncoding>];
#pragma unroll
  for (int k = 0; k < kBits<kEncoding>; ++k) {
    const int64_t byte = start * kBits<kEncoding> / 8 + 4 * (k * kWarp + lane);
    words[k] = load_bytes(packed.codes + byte, packed.bytes - byte);
  }
  const int64_t block = start / LOWBIT_RHO_BLOCK + lane;
  const float scale = block * LOWBIT_RHO_BLOCK < values.n ? packed.scales[block] : 0.0f;

  RhoWalk<kWhole> at(start + kWord * lane, kStepValues, values.length);
#pragma unroll
  for (int m = 0; m < kSteps; ++m) {
    const int rest = left - m * kStepValues;
    const uint32_t codes = codes_of_step<kEncoding>(words, m, lane);
    const float s = __shfl_sync(kAllLanes, scale, m * kStepBlocks + lane / kBlockLanes);
    const auto value = [&](int i) { return value_of<kEncoding>(codes, i, s); };
    if (rest > 0) {
      if (kEncoding == LOWBIT_TERNARY) check_codes(codes, rest, start + m * kStepValues + kWord * lane, refused);
      store_word<kWhole>(values.data, values.pitch, at, rest, {value(0), value(1), value(2), value(3)});
    }
    at.advance();
  }
}

template <lowbit_format kEncoding>
Status expand_from(Stream& stream, const RhoExpand& op) {
  const auto values = rho_values<float>(op.output, op.n);
  const Packed packed{row<uint8_t>(op.packed, 0), packed_size(kEncoding, op.n), row<float>(op.scales, 0)};
  const Grid grid{rho_grid(op.n), kRhoThreads};
  unsigned long long* const refused = watch_refusals(stream);
  return is_whole(values) ? launch<expand<kEncoding, true>>(stream, grid, packed, values, refused)
                          : launch<expand<kEncoding, false>>(stream, grid, packed, values, refused);
}

}  // namespace

Status rho_expand(Stream& stream, const RhoExpand& op) {
  switch (op.encoding) {
    case LOWBIT_TERNARY:
      return expand_from<LOWBIT_TERNARY>(stream, op);
    case LOWBIT_BINARY:
      return expand_from<LOWBIT_BINARY>(stream, op);
    default:
      return expand_from<LOWBIT_INT8>(stream, op);
  }
}

}  // namespace lowbit::core::cuda
