// Scales and codes as docs/numerics.md writes them, on the device. Constants are worked out by the host, in float64.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "codes.h"

namespace lowbit::core::cuda {

// How the values of a group become its scale: by their largest magnitude, or by treesum.
struct Scaling {
  bool is_mean;
  int counted_bits;  // of a value: all but the sign, so that its magnitude counts; or all, so that negative ones do not
  float factor;      // of the maximum, or of the sum
};

constexpr int kMagnitudeBits = 0x7fffffff;

inline Scaling scaling_of_codes(lowbit_format format, lowbit_rule rule, int64_t n) {
  const bool is_mean = rule == LOWBIT_ABSMEAN;
  const double top = qmax(format);
  const double factor = is_mean ? 2.0 / (top * static_cast<double>(n)) : 1.0 / top;
  return {is_mean, format == LOWBIT_UINT8 ? -1 : kMagnitudeBits, static_cast<float>(factor)};
}

// Ternary and binary: the mean of the magnitudes.
inline Scaling scaling_of_signs(int64_t n) {
  return {true, kMagnitudeBits, static_cast<float>(1.0 / static_cast<double>(n))};
}

// `total` is the group's maximum or sum; a NaN, or an infinity, where a value was not finite or the sum overflowed.
__device__ __forceinline__ float scale_of(float total, float factor) {
  const float scale = __fmul_rn(total, factor);
  const bool is_finite = scale < __uint_as_float(LOWBIT_INFINITY_BITS);
  return is_finite ? fmaxf(scale, __uint_as_float(LOWBIT_EPS_BITS)) : __uint_as_float(LOWBIT_NAN_BITS);
}

struct CodeRange {
  float bottom, top;
};

inline CodeRange code_range(lowbit_format format) {
  const auto top = static_cast<float>(qmax(format));
  return {format == LOWBIT_UINT8 ? 0.0f : -top, top};
}

// int8, int4 and uint8 codes of values that share a scale.
class Coder {
 public:
  // `inverse` of the scale. That of a NaN scale makes every product NaN, which clips to the bottom: then 0.
  __device__ Coder(float inverse, CodeRange range)
      : inverse_(inverse), bottom_(inverse > 0 ? range.bottom : 0.0f), top_(range.top) {}

  // In the low byte; the rest is junk. Added to 1.5 * 2^23, a float rounds to the integer in its low bits, ties to
  // even. On whole bounds clipping commutes with rounding.
  __device__ uint32_t code(float x) const {
    constexpr float kRounder = 12582912.0f;
    return __float_as_uint(__fadd_rn(fminf(fmaxf(__fmul_rn(x, inverse_), bottom_), top_), kRounder));
  }

  // Four codes, the first in the low byte.
  __device__ uint32_t word(float4 x) const {
    const uint32_t low = __byte_perm(code(x.x), code(x.y), 0x0040), high = __byte_perm(code(x.z), code(x.w), 0x0040);
    return __byte_perm(low, high, 0x5410);
  }

 private:
  float inverse_, bottom_, top_;
};

}  // namespace lowbit::core::cuda
