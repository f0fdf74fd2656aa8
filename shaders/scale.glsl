// Scales and codes as docs/numerics.md writes them, on bit patterns. Constants are worked out by the host, in float64.
#ifndef LOWBIT_SCALE_GLSL
#define LOWBIT_SCALE_GLSL

#include "float32.glsl"

// What of a value counts towards the scale: its magnitude, infinity where it is not finite, so that a maximum and a sum
// of magnitudes show that too. uint8 counts negative values as 0, but not those that are not finite.
uint counted(uint x, bool is_unsigned) {
  if (!f32_is_finite(x)) return LOWBIT_INFINITY_BITS;
  return is_unsigned && (x & F32_SIGN) != 0u ? 0u : x & F32_MAGNITUDE;
}

// `total` is the group's maximum or sum of what counts.
uint scale_of(uint total, uint factor) {
  const uint scale = f32_mul(total, factor);
  return f32_is_finite(scale) ? max(scale, LOWBIT_EPS_BITS) : LOWBIT_NAN_BITS;
}

// 1 / scale; NaN for a NaN.
uint inverse_of(uint scale) { return f32_is_nan(scale) ? LOWBIT_NAN_BITS : f32_reciprocal(scale); }

// An int8, int4 or uint8 code as a byte.
uint quantized_code(uint x, uint inverse, uint qmax, bool is_unsigned) {
  if (f32_is_nan(inverse)) return 0u;
  const bool is_negative = (x & F32_SIGN) != 0u;
  if (is_unsigned && is_negative) return 0u;
  const uint code = min(f32_round_magnitude(f32_mul(x & F32_MAGNITUDE, inverse)), qmax);
  return (is_negative ? 0u - code : code) & 0xffu;
}

// Weights and rho as they are stored: ternary 0, 1, 2 for -1, 0, +1; binary 0, 1 for -1, +1. -0 counts as positive.
uint ternary_code(uint x, uint scale) {
  if (f32_is_nan(scale) || (x & F32_MAGNITUDE) < scale) return 1u;
  return (x & F32_SIGN) != 0u ? 0u : 2u;
}
uint binary_code(uint x, uint scale) { return f32_is_nan(scale) || x > F32_SIGN ? 0u : 1u; }

#endif
