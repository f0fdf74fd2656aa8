// AVX-VNNI: vpdpbusd as in avx512vnni, over half the columns and with half the registers.
#pragma once

#include "cpu/vector256.h"

namespace lowbit::core::LOWBIT_ISA {

constexpr int kTileRows = 6, kTileVectors = 2;  // 12 sums, 2 words, an activation

template <lowbit_format W, bool kSigned>
constexpr int kOffset = W == LOWBIT_INT8 ? (kSigned ? 128 : 0) : 1;

template <lowbit_format W, bool kSigned>
Vector operand(Vector codes) {
  return W == LOWBIT_INT8 && !kSigned ? _mm256_xor_si256(codes, _mm256_set1_epi8(-128)) : codes;
}

template <lowbit_format W>
constexpr int kFold = 1;
template <lowbit_format W>
constexpr int kActivationBytes = 1;

template <lowbit_format W, bool kSigned>
void place(const uint8_t* codes, uint8_t* to) {
  std::memcpy(to, codes, kPanelColumns);
}

template <lowbit_format W, bool kSigned, int N>
Vector dot(Vector sums, const Vector (&words)[N], const uint8_t* activations) {
  for (int i = 0; i < N; ++i) {
    int32_t four;
    std::memcpy(&four, activations + 4 * i, sizeof(four));
    const Vector a = _mm256_set1_epi32(four);
    sums = kSigned ? _mm256_dpbusd_avx_epi32(sums, words[i], a) : _mm256_dpbusd_avx_epi32(sums, a, words[i]);
  }
  return sums;
}

}  // namespace lowbit::core::LOWBIT_ISA
