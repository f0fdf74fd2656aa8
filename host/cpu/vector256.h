// Vectors of 256 bits: what AVX2 and AVX-VNNI have in common.
#pragma once

#include <cstring>

#include "cpu/intrinsics.h"
#include "cpu/isa.h"

namespace lowbit::core::LOWBIT_ISA {

using Vector = __m256i;
constexpr int kLanes = 8;

inline Vector load(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }
inline void store(void* to, Vector v) { _mm256_storeu_si256(static_cast<__m256i*>(to), v); }
inline Vector zero() { return _mm256_setzero_si256(); }

// Four activations, in every lane.
inline Vector broadcast(const uint8_t* activations) {
  int32_t word;
  std::memcpy(&word, activations, sizeof(word));
  return _mm256_set1_epi32(word);
}

template <lowbit_format W>
Vector steps(Vector words, int j) {
  if constexpr (W == LOWBIT_INT8) return words;
  constexpr int kBits = W == LOWBIT_TERNARY ? 2 : 1;
  return _mm256_and_si256(_mm256_srli_epi32(words, kBits * j), _mm256_set1_epi8((1 << kBits) - 1));
}

template <lowbit_format W>
Vector columns(const uint8_t* row, int part) {
  if constexpr (W == LOWBIT_TERNARY) {
    const Vector bytes = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(row)));
    const Vector shifts = _mm256_add_epi64(_mm256_setr_epi64x(0, 0, 2, 2), _mm256_set1_epi64x(4 * part));
    return _mm256_and_si256(_mm256_srlv_epi64(bytes, shifts), _mm256_set1_epi8(3));
  } else if constexpr (W == LOWBIT_BINARY) {
    long long bytes;
    std::memcpy(&bytes, row, sizeof(bytes));
    const Vector shifts = _mm256_add_epi64(_mm256_setr_epi64x(0, 1, 2, 3), _mm256_set1_epi64x(4 * part));
    return _mm256_and_si256(_mm256_srlv_epi64(_mm256_set1_epi64x(bytes), shifts), _mm256_set1_epi8(1));
  } else {
    return load(row + part * static_cast<int>(sizeof(Vector)));
  }
}

inline void interleave(const Vector (&rows)[4], Vector (&words)[4]) {
  const Vector low01 = _mm256_unpacklo_epi8(rows[0], rows[1]), high01 = _mm256_unpackhi_epi8(rows[0], rows[1]);
  const Vector low23 = _mm256_unpacklo_epi8(rows[2], rows[3]), high23 = _mm256_unpackhi_epi8(rows[2], rows[3]);
  words[0] = _mm256_unpacklo_epi16(low01, low23);
  words[1] = _mm256_unpackhi_epi16(low01, low23);
  words[2] = _mm256_unpacklo_epi16(high01, high23);
  words[3] = _mm256_unpackhi_epi16(high01, high23);
}

}  // namespace lowbit::core::LOWBIT_ISA
