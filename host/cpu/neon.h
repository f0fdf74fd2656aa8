// Vectors of Arm's 128 bits: what dotprod and i8mm have in common.
#pragma once

#include <arm_neon.h>

#include <cstring>

#include "cpu/isa.h"

namespace lowbit::core::LOWBIT_ISA {

using Vector = uint8x16_t;
constexpr int kLanes = 4;

inline Vector load(const void* from) { return vld1q_u8(static_cast<const uint8_t*>(from)); }
inline void store(void* to, Vector v) { vst1q_u8(static_cast<uint8_t*>(to), v); }
inline Vector zero() { return vdupq_n_u8(0); }

template <lowbit_format W>
Vector steps(Vector words, int j) {
  if constexpr (W == LOWBIT_INT8) return words;
  constexpr int kBits = W == LOWBIT_TERNARY ? 2 : 1;
  return (words >> static_cast<uint8_t>(kBits * j)) & vdupq_n_u8((1 << kBits) - 1);
}

template <lowbit_format W>
Vector columns(const uint8_t* row, int part) {
  if constexpr (W == LOWBIT_TERNARY) {
    return (load(row) >> static_cast<uint8_t>(2 * part)) & vdupq_n_u8(3);
  } else if constexpr (W == LOWBIT_BINARY) {
    const uint8x8_t bytes = vld1_u8(row) >> static_cast<uint8_t>(2 * part);
    return vcombine_u8(bytes, bytes >> 1) & vdupq_n_u8(1);
  } else {
    return load(row + part * static_cast<int>(sizeof(Vector)));
  }
}

inline void interleave(const Vector (&rows)[4], Vector (&words)[4]) {
  const auto pairs = [](Vector a, Vector b) { return vzipq_u16(vreinterpretq_u16_u8(a), vreinterpretq_u16_u8(b)); };
  const uint8x16x2_t rows01 = vzipq_u8(rows[0], rows[1]), rows23 = vzipq_u8(rows[2], rows[3]);
  const uint16x8x2_t low = pairs(rows01.val[0], rows23.val[0]), high = pairs(rows01.val[1], rows23.val[1]);
  words[0] = vreinterpretq_u8_u16(low.val[0]);
  words[1] = vreinterpretq_u8_u16(low.val[1]);
  words[2] = vreinterpretq_u8_u16(high.val[0]);
  words[3] = vreinterpretq_u8_u16(high.val[1]);
}

// Words that meet an activation vector's four.
template <lowbit_format W>
constexpr int kFold = 4;
template <lowbit_format W>
constexpr int kActivationBytes = 1;

}  // namespace lowbit::core::LOWBIT_ISA
