// AVX-VNNI: half the columns of AVX-512 VNNI, and half the registers.
#pragma once

#include "cpu/vector256.h"

namespace lowbit::core::LOWBIT_ISA {

constexpr int kTileRows = 6, kTileVectors[] = {8, 4, 2, 2, 2, 2};  // with words and an activation, 16 registers

inline Vector less_128(Vector bytes) { return _mm256_xor_si256(bytes, _mm256_set1_epi8(-128)); }

inline Vector multiply_add(Vector sums, Vector bytes, Vector signed_bytes) {
  return _mm256_dpbusd_avx_epi32(sums, bytes, signed_bytes);
}

}  // namespace lowbit::core::LOWBIT_ISA

#include "cpu/vnni.h"
