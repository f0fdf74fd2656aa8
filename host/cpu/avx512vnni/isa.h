// AVX-512 VNNI. vpdpbusd adds the four products of a lane's unsigned and signed bytes and saturates nowhere: int8
// activations meet the weights' unsigned codes, uint8 activations signed ones.
#pragma once

#include "cpu/vector512.h"

namespace lowbit::core::LOWBIT_ISA {

constexpr int kTileRows = 6, kTileVectors = 4;  // 24 sums, 4 words, an activation

template <lowbit_format W, bool kSigned>
constexpr int kOffset = W == LOWBIT_INT8 ? (kSigned ? 128 : 0) : 1;

template <lowbit_format W, bool kSigned>
Vector operand(Vector codes) {
  return W == LOWBIT_INT8 && !kSigned ? _mm512_xor_si512(codes, _mm512_set1_epi8(-128)) : codes;
}

template <lowbit_format W>
constexpr int kFold = 1;
template <lowbit_format W>
constexpr int kActivationBytes = 1;

template <lowbit_format W, bool kSigned>
void place(const uint8_t* codes, uint8_t* to) {
  store(to, load(codes));
}

template <lowbit_format W, bool kSigned, int N>
Vector dot(Vector sums, const Vector (&words)[N], const uint8_t* activations) {
  for (int i = 0; i < N; ++i) {
    int32_t four;
    std::memcpy(&four, activations + 4 * i, sizeof(four));
    const Vector a = _mm512_set1_epi32(four);
    sums = kSigned ? _mm512_dpbusd_epi32(sums, words[i], a) : _mm512_dpbusd_epi32(sums, a, words[i]);
  }
  return sums;
}

}  // namespace lowbit::core::LOWBIT_ISA
