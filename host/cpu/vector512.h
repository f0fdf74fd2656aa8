// Vectors of 512 bits: what AVX-512 VNNI and AMX have in common.
#pragma once

#include <cstring>

#include "cpu/intrinsics.h"
#include "cpu/isa.h"

namespace lowbit::core::LOWBIT_ISA {

using Vector = __m512i;
constexpr int kLanes = 16;

inline Vector load(const void* from) { return _mm512_loadu_si512(from); }
inline void store(void* to, Vector v) { _mm512_storeu_si512(to, v); }
inline Vector zero() { return _mm512_setzero_si512(); }

// Four activations, in every lane.
inline Vector broadcast(const uint8_t* activations) {
  int32_t word;
  std::memcpy(&word, activations, sizeof(word));
  return _mm512_set1_epi32(word);
}

template <lowbit_format W>
Vector steps(Vector words, int j) {
  if constexpr (W == LOWBIT_INT8) return words;
  constexpr int kBits = W == LOWBIT_TERNARY ? 2 : 1;
  return _mm512_and_si512(_mm512_srli_epi32(words, static_cast<unsigned>(kBits * j)),
                          _mm512_set1_epi8((1 << kBits) - 1));
}

template <lowbit_format W>
Vector columns(const uint8_t* row, int) {
  if constexpr (W == LOWBIT_TERNARY) {
    const Vector bytes = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(row)));
    const Vector shifts = _mm512_setr_epi64(0, 0, 2, 2, 4, 4, 6, 6);
    return _mm512_and_si512(_mm512_srlv_epi64(bytes, shifts), _mm512_set1_epi8(3));
  } else if constexpr (W == LOWBIT_BINARY) {
    long long bytes;
    std::memcpy(&bytes, row, sizeof(bytes));
    return _mm512_and_si512(_mm512_srlv_epi64(_mm512_set1_epi64(bytes), _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7)),
                            _mm512_set1_epi8(1));
  } else {
    return load(row);
  }
}

inline void interleave(const Vector (&rows)[4], Vector (&words)[4]) {
  const Vector low01 = _mm512_unpacklo_epi8(rows[0], rows[1]), high01 = _mm512_unpackhi_epi8(rows[0], rows[1]);
  const Vector low23 = _mm512_unpacklo_epi8(rows[2], rows[3]), high23 = _mm512_unpackhi_epi8(rows[2], rows[3]);
  words[0] = _mm512_unpacklo_epi16(low01, low23);
  words[1] = _mm512_unpackhi_epi16(low01, low23);
  words[2] = _mm512_unpacklo_epi16(high01, high23);
  words[3] = _mm512_unpackhi_epi16(high01, high23);
}

}  // namespace lowbit::core::LOWBIT_ISA
