// From exact sums to outputs: out = f32(sum) * (scale_activation * scale_weight), thresholded, each operation rounded
// once. Plain loops, which the compiler turns into vectors.
#pragma once

#include <cstdint>
#include <optional>

#include "cpu/isa.h"

namespace lowbit::core::LOWBIT_ISA {

struct Epilogue {
  const float* scales;  // of the weight's channels, or one for all
  bool per_channel;
  std::optional<float> threshold;

  // `count` outputs from `column` on. The product with the weights themselves is kFactor * sums[i] - offset.
  template <int kFactor, typename Sum>
  void operator()(const Sum* sums, int64_t offset, float scale_activation, int64_t column, int64_t count,
                  float* out) const {
    if (count == kPanelColumns) {  // a length that the compiler knows
      write<kFactor>(sums, offset, scale_activation, column, kPanelColumns, out);
    } else {
      write<kFactor>(sums, offset, scale_activation, column, count, out);
    }
  }

 private:
  template <int kFactor, typename Sum>
  LOWBIT_INLINE inline void write(const Sum* sums, int64_t offset, float scale_activation, int64_t column,
                                  int64_t count, float* __restrict out) const {
    if (per_channel) {
      const float* const channel = scales + column;
      for (int64_t i = 0; i < count; ++i) {
        out[i] = static_cast<float>(exact<kFactor>(sums[i], offset)) * (scale_activation * channel[i]);
      }
    } else {
      const float scale = scale_activation * *scales;
      for (int64_t i = 0; i < count; ++i) out[i] = static_cast<float>(exact<kFactor>(sums[i], offset)) * scale;
    }
    if (!threshold) return;
    const float limit = *threshold;
    for (int64_t i = 0; i < count; ++i) {
      const float d = out[i] - limit;
      out[i] = d <= 0 ? 0.0f : d;  // NaN stays
    }
  }

  // In 32 bits, which may wrap on the way: the result fits.
  template <int kFactor>
  static int32_t exact(int32_t sum, int64_t offset) {
    return static_cast<int32_t>(static_cast<uint32_t>(sum) * kFactor - static_cast<uint32_t>(offset));
  }
  template <int kFactor>
  static int64_t exact(int64_t sum, int64_t offset) {
    return kFactor * sum - offset;
  }
  // Of float activations.
  template <int>
  static double exact(double sum, int64_t) {
    return sum;
  }
};

}  // namespace lowbit::core::LOWBIT_ISA
