// The intrinsics of AVX2, AVX-VNNI, AVX-512 and AMX as functions of any x86-64 processor: SIMDe's and, scalar and by the
// manual, those that it lacks. They stand in for <immintrin.h>, which a file must not include as well.
#pragma once

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx2.h>
#include <simde/x86/avx512/and.h>
#include <simde/x86/avx512/broadcast.h>
#include <simde/x86/avx512/dpbusd.h>
#include <simde/x86/avx512/loadu.h>
#include <simde/x86/avx512/mov_mask.h>
#include <simde/x86/avx512/packs.h>
#include <simde/x86/avx512/packus.h>
#include <simde/x86/avx512/permutexvar.h>
#include <simde/x86/avx512/set.h>
#include <simde/x86/avx512/set1.h>
#include <simde/x86/avx512/setr.h>
#include <simde/x86/avx512/setzero.h>
#include <simde/x86/avx512/srli.h>
#include <simde/x86/avx512/srlv.h>
#include <simde/x86/avx512/storeu.h>
#include <simde/x86/avx512/unpackhi.h>
#include <simde/x86/avx512/unpacklo.h>
#include <simde/x86/avx512/xor.h>

#include <cmath>
#include <cstdint>
#include <cstring>

#include "simulation/amx.h"

namespace lowbit::simulation {

template <typename Lane, int kCount>
struct Lanes {
  using Vector __attribute__((vector_size(sizeof(Lane) * kCount))) = Lane;
};
using Floats16 = Lanes<float, 16>::Vector;
using Ints16 = Lanes<int32_t, 16>::Vector;

inline __m256i dpbusd_avx(__m256i sums, __m256i unsigned_bytes, __m256i signed_bytes) {
  auto s = (Lanes<uint32_t, 8>::Vector)sums;
  const auto a = (Lanes<uint8_t, 32>::Vector)unsigned_bytes;
  const auto b = (Lanes<int8_t, 32>::Vector)signed_bytes;
  for (int i = 0; i < 32; ++i) s[i / 4] += static_cast<uint32_t>(a[i] * b[i]);
  return (__m256i)s;
}

// SIMDe's reads all lanes, also those behind a guard.
inline __m256 maskload(const float* from, __m256i mask) {
  const auto wanted = (Lanes<int32_t, 8>::Vector)mask;
  Lanes<float, 8>::Vector v{};
  for (int i = 0; i < 8; ++i) {
    if (wanted[i] < 0) v[i] = from[i];
  }
  return (__m256)v;
}

inline __m512 maskz_loadu(uint32_t mask, const void* from) {
  Floats16 v{};
  for (int i = 0; i < 16; ++i) {
    if ((mask >> i & 1) != 0) v[i] = static_cast<const float*>(from)[i];
  }
  return (__m512)v;
}

// In the rounding of the environment; what does not fit becomes INT32_MIN.
inline __m512i rounded(__m512 floats) {
  const auto x = (Floats16)floats;
  Ints16 v;
  for (int i = 0; i < 16; ++i) {
    v[i] = x[i] >= -0x1p31f && x[i] < 0x1p31f ? static_cast<int32_t>(std::nearbyint(x[i])) : INT32_MIN;
  }
  return (__m512i)v;
}

inline __m512 floats_of(__m512i integers) { return (__m512) __builtin_convertvector((Ints16)integers, Floats16); }

inline __m512i widened(__m128i bytes) {
  return (__m512i) __builtin_convertvector((Lanes<int8_t, 16>::Vector)bytes, Ints16);
}

inline __m512 permuted(__m512 floats, __m512i places) {
  const auto x = (Floats16)floats;
  const auto which = (Ints16)places;
  Floats16 v;
  for (int i = 0; i < 16; ++i) v[i] = x[i / 4 * 4 + (which[i] & 3)];
  return (__m512)v;
}

}  // namespace lowbit::simulation

#define __mmask16 simde__mmask16
#undef _mm256_maskload_ps
#define _mm256_maskload_ps lowbit::simulation::maskload
#define _mm256_dpbusd_avx_epi32 lowbit::simulation::dpbusd_avx
#define _mm512_maskz_loadu_ps lowbit::simulation::maskz_loadu
#define _mm512_cvtps_epi32 lowbit::simulation::rounded
#define _mm512_cvtepi32_ps lowbit::simulation::floats_of
#define _mm512_cvtepi8_epi32 lowbit::simulation::widened
#define _mm512_permutevar_ps lowbit::simulation::permuted
