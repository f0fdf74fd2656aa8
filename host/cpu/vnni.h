// What AVX-VNNI and AVX-512 VNNI do alike. vpdpbusd adds the four products of a lane's unsigned and signed bytes and
// saturates nowhere: int8 activations meet the weights' unsigned codes, uint8 activations signed ones. A set's isa.h has
// multiply_add(sums, bytes, signed_bytes) for it.
#pragma once

#include <cstring>

#include "cpu/isa.h"

namespace lowbit::core::LOWBIT_ISA {

template <lowbit_format W, bool kSigned>
constexpr int kOffset = W == LOWBIT_INT8 ? (kSigned ? 128 : 0) : 1;

template <lowbit_format W, bool kSigned>
Vector operand(Vector codes) {
  return W == LOWBIT_INT8 && !kSigned ? less_128(codes) : codes;
}

template <lowbit_format W>
constexpr int kFold = 1;
template <lowbit_format W>
constexpr int kActivationBytes = 1;

template <lowbit_format W, bool kSigned, int N>
Vector dot(Vector sums, const Vector (&words)[N], const uint8_t* activations) {
  for (int i = 0; i < N; ++i) {
    const Vector a = broadcast(activations + 4 * i);
    sums = kSigned ? multiply_add(sums, words[i], a) : multiply_add(sums, a, words[i]);
  }
  return sums;
}

}  // namespace lowbit::core::LOWBIT_ISA
