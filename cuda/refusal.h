// Data that a kernel has to refuse. A stream's synchronize() tells of it: of the first kind below, and there of the
// first index. The kinds share one word and one sentence, so that a stream may see several of them before it is asked.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <string>

#include "cuda_device.h"
#include "numbers.h"

namespace lowbit::core::cuda {

enum class Refusal : uint64_t { ternary_code, weight_value, channel_sum, tensor_sum };

constexpr int kRefusalShift = 61;  // the index is below

// `refused` is 0, or the complement of the smallest number refused: Control's bad_data, or a word like it.
__device__ __forceinline__ void refuse(unsigned long long* refused, Refusal what, int64_t index) {
  atomicMax(refused,
            ~(static_cast<unsigned long long>(what) << kRefusalShift | static_cast<unsigned long long>(index)));
}

inline std::string refusal_sentence(uint64_t refused) {
  const uint64_t index = refused & ((uint64_t{1} << kRefusalShift) - 1);
  switch (static_cast<Refusal>(refused >> kRefusalShift)) {
    case Refusal::ternary_code:
      return "rho_expand: packed holds the invalid ternary code 3 in block " +
             std::to_string(index / LOWBIT_RHO_BLOCK) + ", at value " + std::to_string(index);
    case Refusal::weight_value:
      return "pack_weight: input holds a value that is not finite at index " + std::to_string(index) +
             ", weights must be finite";
    case Refusal::channel_sum:
      return "pack_weight: the sum of the magnitudes of channel " + std::to_string(index) + " overflows";
    default:
      return "pack_weight: the sum of the magnitudes of the tensor overflows";
  }
}

// Where the kernels of a stream say what they refuse.
inline unsigned long long* watch_refusals(core::Stream& stream) {
  CudaStream& on = static_cast<CudaStream&>(stream);
  on.watch_data(refusal_sentence);
  return &on.control()->bad_data;
}

}  // namespace lowbit::core::cuda
