// AVX-512 VNNI.
#pragma once

#include "cpu/vector512.h"

namespace lowbit::core::LOWBIT_ISA {

constexpr int kTileRows = 6, kTileVectors[] = {4, 4, 4, 4, 4, 4};  // 24 sums, 4 words, an activation

inline Vector less_128(Vector bytes) { return _mm512_xor_si512(bytes, _mm512_set1_epi8(-128)); }

inline Vector multiply_add(Vector sums, Vector bytes, Vector signed_bytes) {
  return _mm512_dpbusd_epi32(sums, bytes, signed_bytes);
}

}  // namespace lowbit::core::LOWBIT_ISA

#include "cpu/vnni.h"
