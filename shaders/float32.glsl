// IEEE binary32 on bit patterns: every operation rounds once, to nearest even, and keeps subnormals and infinities.
//
// Values are `uint` bits, in buffers too, because only bits are safe everywhere: Vulkan lets a driver round floats up
// or down, flush subnormals, assume that there is no NaN or infinity, and contract operations. There are two builds,
// which give the same bits but for those of a NaN:
// - The float build forbids all that by NoContraction and three execution modes. It is for devices that report them for
//   32 bit: shaderRoundingModeRTEFloat32, shaderSignedZeroInfNanPreserveFloat32 and shaderDenormPreserveFloat32.
// - With LOWBIT_INTEGER_ONLY there is no float type at all and nothing left to the driver. It is for all other devices,
//   and compiles as C++ too, for tests/float32_test.cpp.
#ifndef LOWBIT_FLOAT32_GLSL
#define LOWBIT_FLOAT32_GLSL

#include "numbers.h"

#ifndef LOWBIT_INTEGER_ONLY
#extension GL_EXT_spirv_intrinsics : require
spirv_execution_mode(extensions = ["SPV_KHR_float_controls"], capabilities = [4467], 4462, 32);  // RoundingModeRTE
spirv_execution_mode(extensions = ["SPV_KHR_float_controls"], capabilities = [4466], 4461, 32);  // ... InfNanPreserve
spirv_execution_mode(extensions = ["SPV_KHR_float_controls"], capabilities = [4464], 4459, 32);  // DenormPreserve
#endif

const uint F32_SIGN = 0x80000000u;
const uint F32_MAGNITUDE = 0x7fffffffu;  // all but the sign: orders like the numbers, infinity above them, NaN on top
const uint F32_FRACTION = 0x007fffffu;
const uint F32_TWO_TO_24 = 0x4b800000u;

bool f32_is_nan(uint a) { return (a & F32_MAGNITUDE) > LOWBIT_INFINITY_BITS; }

bool f32_is_finite(uint a) { return (a & F32_MAGNITUDE) < LOWBIT_INFINITY_BITS; }

// Integers that order like the numbers, -0 and +0 the same.
int f32_order(uint a) {
  int magnitude = int(a & F32_MAGNITUDE);
  return (a & F32_SIGN) != 0u ? -magnitude : magnitude;
}

// a < b; false where one is a NaN.
bool f32_less(uint a, uint b) { return !f32_is_nan(a) && !f32_is_nan(b) && f32_order(a) < f32_order(b); }

// Neither may be a NaN.
uint f32_max(uint a, uint b) { return f32_order(a) < f32_order(b) ? b : a; }

// ---- Unrounded numbers ----------------------------------------------------------------------------------------------
// A magnitude is held as a biased exponent, 1 for subnormals too, and a significand:
//
//   bit  31   30                  7   6          1    0
//        0  | 24 bits of the result | to be rounded | sticky: also set if any bit below it was
//
// The top bit of the 24 may be clear only where the exponent is 1, and bit 31 set only if 30 to 7 are clear.

// In bits 23 to 0.
uint f32_significand(uint magnitude) {
  return (magnitude & F32_FRACTION) | (min(magnitude >> 23, 1u) << 23);
}

uint f32_exponent(uint magnitude) { return max(magnitude >> 23, 1u); }

// What leaves at the low end stays in the sticky bit. Beyond 31 places nothing but that is left of a significand.
uint f32_shift_right(uint significand, uint places) {
  uint shift = min(places, 31u), shifted = significand >> shift;
  return shifted | uint((shifted << shift) != significand);
}

// Bits 31 to 7, to nearest even.
uint f32_round_off(uint significand) { return (significand + 0x3fu + ((significand >> 7) & 1u)) >> 7; }

// The 24th bit carries into the exponent, as does what rounds up to the next power of two; from 255 on it is infinity.
uint f32_rounded(uint exponent, uint significand) {
  return min(((exponent - 1u) << 23) + f32_round_off(significand), LOWBIT_INFINITY_BITS);
}

// The integer high:below, with bit 31 of `high` set and weighing 2^top.
uint f32_from_normalized(uint high, uint below, uint top) {
  return f32_rounded(top + 127u, (high >> 1) | uint(((high & 1u) | below) != 0u));
}

// rne of a 64-bit two's complement integer.
uint f32_from_int64(uint low, int high) {
  uint sign = uint(high) & F32_SIGN, upper = uint(high), lower = low;
  if (sign != 0u) {
    lower = ~lower + 1u;
    upper = ~upper + uint(lower == 0u);
  }
  uint top = 63u;
  if (upper == 0u) {
    upper = lower;
    lower = 0u;
    top = 31u;
  }
  if (upper == 0u) return 0u;
  uint up = uint(31 - findMSB(upper));
  return sign | f32_from_normalized((upper << up) | ((lower >> 1) >> (31u - up)), lower << up, top - up);
}

// 1/s, correctly rounded. s > 0, finite and not subnormal; the result may be subnormal. On integers in both builds,
// since Vulkan's division may be 2.5 ulp off in any mode.
uint f32_reciprocal(uint s) {
  uint divisor = f32_significand(s), exponent = f32_exponent(s);  // s = divisor * 2^(exponent-150)
  // 2^47 / divisor, 24 bits for an s that is no power of two, in steps of 8
  uint step0 = 0x80000000u / divisor, rest0 = 0x80000000u - step0 * divisor;
  uint step1 = (rest0 << 8) / divisor, rest1 = (rest0 << 8) - step1 * divisor;
  uint step2 = (rest1 << 8) / divisor, rest2 = (rest1 << 8) - step2 * divisor;
  uint quotient = (step0 << 16) + (step1 << 8) + step2;
  // The rest is more or less than half, never half: then 2^48 were divisor * (2 * quotient + 1), which is odd.
  uint significand = (quotient << 7) | (2u * rest2 > divisor ? 0x60u : 0x20u);
  // From 2^126 on the result is subnormal. s = 2^n has quotient 2^24, which carries; the 0x20 changes nothing.
  return f32_rounded(253u - min(exponent, 252u), f32_shift_right(significand, max(exponent, 252u) - 252u));
}

#ifdef LOWBIT_INTEGER_ONLY
// ---- On integers ----------------------------------------------------------------------------------------------------

// a + b of magnitudes; neither is a NaN. Infinity needs no test: as a number it is 2^128, so that the sum overflows.
uint f32_add_magnitudes(uint a, uint b) {
  uint larger = max(a, b), smaller = min(a, b);
  uint exponent = f32_exponent(larger);
  uint sum = (f32_significand(larger) << 7) +
             f32_shift_right(f32_significand(smaller) << 7, exponent - f32_exponent(smaller));
  uint carry = sum >> 31;
  return f32_rounded(exponent + carry, (sum >> carry) | (sum & carry));
}

// larger - smaller of magnitudes. larger > smaller, and it is finite.
uint f32_subtract_magnitudes(uint larger, uint smaller) {
  uint exponent = f32_exponent(larger);
  uint difference = (f32_significand(larger) << 7) -
                    f32_shift_right(f32_significand(smaller) << 7, exponent - f32_exponent(smaller));
  uint up = min(uint(30 - findMSB(difference)), exponent - 1u);
  return f32_rounded(exponent - up, difference << up);
}

uint f32_add(uint a, uint b) {
  uint magnitude_a = a & F32_MAGNITUDE, magnitude_b = b & F32_MAGNITUDE;
  uint larger = max(magnitude_a, magnitude_b), smaller = min(magnitude_a, magnitude_b);
  if (larger > LOWBIT_INFINITY_BITS) return LOWBIT_NAN_BITS;
  uint sign = (magnitude_a >= magnitude_b ? a : b) & F32_SIGN;
  if (((a ^ b) & F32_SIGN) == 0u) return sign | f32_add_magnitudes(larger, smaller);
  if (larger == smaller) return larger == LOWBIT_INFINITY_BITS ? LOWBIT_NAN_BITS : 0u;
  if (larger == LOWBIT_INFINITY_BITS) return sign | larger;
  return sign | f32_subtract_magnitudes(larger, smaller);
}

uint f32_sub(uint a, uint b) { return f32_add(a, b ^ F32_SIGN); }

uint f32_mul(uint a, uint b) {
  uint sign = (a ^ b) & F32_SIGN;
  uint magnitude_a = a & F32_MAGNITUDE, magnitude_b = b & F32_MAGNITUDE;
  uint larger = max(magnitude_a, magnitude_b), smaller = min(magnitude_a, magnitude_b);
  if (larger >= LOWBIT_INFINITY_BITS) {
    return larger > LOWBIT_INFINITY_BITS || smaller == 0u ? LOWBIT_NAN_BITS : sign | LOWBIT_INFINITY_BITS;
  }
  if (smaller == 0u) return sign;
  // The top bit goes to bit 23. Only of the smaller one: two subnormals make a product that rounds to 0 in any case.
  uint significand = f32_significand(smaller);
  int up = 23 - findMSB(significand);
  int exponent = int(f32_exponent(larger)) + int(f32_exponent(smaller)) - up - 126;
  // 24 bits times 24 bits times 2^15: the highest 24 end at bit 7 or 6 of the high word. The low word is sticky.
  uint product, below;
  umulExtended(f32_significand(larger) << 7, significand << (up + 8), product, below);
  if (product < 0x40000000u) {
    product <<= 1;
    --exponent;
  }
  product |= uint(below != 0u);
  return sign | f32_rounded(uint(max(exponent, 1)), f32_shift_right(product, uint(max(1 - exponent, 0))));
}

// rne to an integer of a magnitude that is no NaN, at most 2^24.
uint f32_round_magnitude(uint a) {
  uint bounded = min(a, F32_TWO_TO_24);
  return f32_round_off(f32_shift_right(f32_significand(bounded) << 8, 151u - (bounded >> 23)));
}

// rne
uint f32_from_int(int v) {
  if (v == 0) return 0u;
  uint sign = uint(v) & F32_SIGN, magnitude = sign != 0u ? 0u - uint(v) : uint(v);
  uint top = uint(findMSB(magnitude));
  return sign | f32_from_normalized(magnitude << (31u - top), 0u, top);
}

#else
// ---- On floats ------------------------------------------------------------------------------------------------------
// One operation a function, into a `precise` variable: glslang decorates it with NoContraction.

uint f32_add(uint a, uint b) {
  precise float r = uintBitsToFloat(a) + uintBitsToFloat(b);
  return floatBitsToUint(r);
}

uint f32_sub(uint a, uint b) {
  precise float r = uintBitsToFloat(a) - uintBitsToFloat(b);
  return floatBitsToUint(r);
}

uint f32_mul(uint a, uint b) {
  precise float r = uintBitsToFloat(a) * uintBitsToFloat(b);
  return floatBitsToUint(r);
}

// a + b of magnitudes; neither is a NaN.
uint f32_add_magnitudes(uint a, uint b) { return f32_add(a, b); }

// rne to an integer of a magnitude that is no NaN, at most 2^24: bounded as bits, so that the conversion is in range.
uint f32_round_magnitude(uint a) {
  precise float r = roundEven(uintBitsToFloat(min(a, F32_TWO_TO_24)));
  return uint(r);
}

// rne
uint f32_from_int(int v) {
  precise float r = float(v);
  return floatBitsToUint(r);
}
#endif

#endif
