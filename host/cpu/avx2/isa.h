// AVX2. vpmaddubsw would multiply bytes but saturates at 2^15: 255 * 127 * 2 does not fit. So int8 weights are widened
// to 16 bits, 0 to 255, and meet activations of 16 bits in vpmaddwd: codes 0 and 2 of a word, then 1 and 3. Ternary and
// binary codes are at most 2, and 8 * 2 * 2 * 255 fits: they are multiplied as bytes and added up over kFold words
// before they are widened.
#pragma once

#include "cpu/vector256.h"

namespace lowbit::core::LOWBIT_ISA {

// 8 sums, 4 halves of words, two activations or products.
constexpr int kTileRows = 4, kTileVectors[] = {8, 4, 2, 2};

template <lowbit_format W, bool kSigned>
constexpr int kOffset = W == LOWBIT_INT8 ? 128 : 1;

template <lowbit_format W, bool kSigned>
Vector operand(Vector codes) {
  return codes;
}

template <lowbit_format W>
constexpr int kFold = W == LOWBIT_INT8 ? 1 : 4;
template <lowbit_format W>
constexpr int kActivationBytes = W == LOWBIT_INT8 ? 2 : 1;

template <lowbit_format W, bool kSigned>
void place(const uint8_t* codes, uint8_t* to) {
  static_assert(W == LOWBIT_INT8);
  const __m128i order = _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15);
  for (int i = 0; i < kPanelColumns; i += 16) {
    const __m128i bytes = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + i)), order);
    store(to + 2 * i, kSigned ? _mm256_cvtepi8_epi16(bytes) : _mm256_cvtepu8_epi16(bytes));
  }
}

// Keeps g++ from adding products to each other before it adds them to the sums, for which it lacks registers.
inline void settle([[maybe_unused]] Vector& sums) {
#if defined(__AVX2__)
  asm("" : "+x"(sums));
#endif
}

template <lowbit_format W, bool kSigned, int N>
Vector dot(Vector sums, const Vector (&words)[N], const uint8_t* activations) {
  if constexpr (W == LOWBIT_INT8) {
    for (int i = 0; i < N; ++i) {
      const Vector even = _mm256_and_si256(words[i], _mm256_set1_epi32(0x00ff00ff));
      const Vector odd = _mm256_srli_epi16(words[i], 8);
      sums = _mm256_add_epi32(sums, _mm256_madd_epi16(even, broadcast(activations + 8 * i)));
      settle(sums);
      sums = _mm256_add_epi32(sums, _mm256_madd_epi16(odd, broadcast(activations + 8 * i + 4)));
    }
    return sums;
  } else {
    static_assert(N <= 8);
    Vector pairs = zero();
    for (int i = 0; i < N; ++i) {
      const Vector a = broadcast(activations + 4 * i);
      pairs = _mm256_add_epi16(pairs, kSigned ? _mm256_maddubs_epi16(words[i], a) : _mm256_maddubs_epi16(a, words[i]));
    }
    return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
}

}  // namespace lowbit::core::LOWBIT_ISA
