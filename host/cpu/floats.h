// Vectors as the streaming kernels use them, as wide as the registers of the instruction set: the compiler's vector
// types, and here the few steps that it does not find by itself.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <utility>

#include "cpu/intrinsics.h"
#include "numbers.h"

namespace lowbit::core::LOWBIT_ISA {

#if LOWBIT_AVX512
constexpr int kVectorBytes = 64;
#elif LOWBIT_AVX2
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif
constexpr int kWidth = kVectorBytes / 4;

using Float __attribute__((vector_size(kVectorBytes))) = float;
using Int __attribute__((vector_size(kVectorBytes))) = int32_t;
using Word __attribute__((vector_size(kVectorBytes))) = uint32_t;
using Bytes __attribute__((vector_size(kVectorBytes))) = int8_t;

constexpr float kEps = std::bit_cast<float>(LOWBIT_EPS_BITS);
constexpr float kNan = std::bit_cast<float>(LOWBIT_NAN_BITS);

inline Float splat(float x) { return x - Float{}; }
inline Int splat(int32_t x) { return x - Int{}; }

inline Float load(const float* from) {
  Float v;
  std::memcpy(&v, from, sizeof(v));
  return v;
}

// The first `count` lanes, the others 0; nothing behind them is touched.
inline Float load_some(const float* from, int64_t count) {
#if LOWBIT_AVX512
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((uint32_t{1} << count) - 1), from);
#elif LOWBIT_AVX2
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_maskload_ps(from, _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), lane));
#else
  Float v{};
  std::memcpy(&v, from, static_cast<size_t>(count) * sizeof(float));
  return v;
#endif
}

inline Int magnitude_bits(Float x) { return reinterpret_cast<Int>(x) & 0x7fffffff; }

template <bool kUnsigned>
Float magnitude(Float x) {
  if constexpr (kUnsigned) return x > 0 ? x : Float{};
  return reinterpret_cast<Float>(magnitude_bits(x));
}

// To the nearest integer, ties to even; |x| is below 2^22.
inline Int rounded(Float x) {
#if LOWBIT_AVX512
  return reinterpret_cast<Int>(_mm512_cvtps_epi32(x));
#elif LOWBIT_AVX2
  return reinterpret_cast<Int>(_mm256_cvtps_epi32(x));
#else
  const Float shift = splat(0x1.8p23f);  // x + shift has no bits behind the point
  return reinterpret_cast<Int>(x + shift) - reinterpret_cast<Int>(shift);
#endif
}

// What a scale becomes: at least EPS; NaN unless it is finite.
inline Float settled(Float scale) {
  const Float enough = scale > kEps ? scale : splat(kEps);
  return magnitude_bits(scale) < static_cast<int32_t>(LOWBIT_INFINITY_BITS) ? enough : splat(kNan);
}

// The low bytes of the lanes of a, b, c, d, in order. They are 0 to 255, or kSigned: -128 to 127.
template <bool kSigned>
Bytes low_bytes(Int a, Int b, Int c, Int d) {
#if LOWBIT_AVX512
  const auto pack = [](Int low, Int high) { return _mm512_packs_epi32((__m512i)low, (__m512i)high); };
  const __m512i ab = pack(a, b), cd = pack(c, d);
  const __m512i mixed = kSigned ? _mm512_packs_epi16(ab, cd) : _mm512_packus_epi16(ab, cd);
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return (Bytes)_mm512_permutexvar_epi32(order, mixed);
#elif LOWBIT_AVX2
  const auto pack = [](Int low, Int high) { return _mm256_packs_epi32((__m256i)low, (__m256i)high); };
  const __m256i ab = pack(a, b), cd = pack(c, d);
  const __m256i mixed = kSigned ? _mm256_packs_epi16(ab, cd) : _mm256_packus_epi16(ab, cd);
  return (Bytes)_mm256_permutevar8x32_epi32(mixed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
#elif defined(__aarch64__)
  const auto pack = [](Int low, Int high) { return vuzp1q_s16((int16x8_t)low, (int16x8_t)high); };
  return (Bytes)vuzp1q_s8((int8x16_t)pack(a, b), (int8x16_t)pack(c, d));
#else
  Bytes bytes;
  const Int all[4] = {a, b, c, d};
  for (int i = 0; i < kVectorBytes; ++i) bytes[i] = static_cast<int8_t>(all[i / kWidth][i % kWidth]);
  return bytes;
#endif
}

// kWidth signed bytes as floats.
inline Float floats_of(const uint8_t* bytes) {
#if LOWBIT_AVX512
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes))));
#elif LOWBIT_AVX2
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes))));
#else
  Int codes;
  for (int i = 0; i < kWidth; ++i) codes[i] = static_cast<int8_t>(bytes[i]);
  return __builtin_convertvector(codes, Float);
#endif
}

// A bit for each lane of a comparison's result.
inline uint32_t bits_of(Int mask) {
#if LOWBIT_AVX512
  return _mm512_movepi32_mask((__m512i)mask);
#elif LOWBIT_AVX2
  return static_cast<uint32_t>(_mm256_movemask_ps((__m256)mask));
#elif defined(__aarch64__)
  return vaddvq_u32((uint32x4_t)(mask & Int{1, 2, 4, 8}));
#else
  uint32_t bits = 0;
  for (int i = 0; i < kWidth; ++i) bits |= (static_cast<uint32_t>(mask[i]) & 1) << i;
  return bits;
#endif
}

// Lane i is four[which[i] % 4]; `four` is the same in every 16 bytes.
inline Float chosen(Float four, Word which) {
#if LOWBIT_AVX512
  return _mm512_permutevar_ps(four, (__m512i)which);
#elif LOWBIT_AVX2
  return _mm256_permutevar_ps(four, (__m256i)which);
#elif defined(__aarch64__)
  return (Float)vqtbl1q_u8((uint8x16_t)four, (uint8x16_t)((which & 3) * 0x04040404 + 0x03020100));
#else
  Float v;
  for (int i = 0; i < kWidth; ++i) v[i] = four[which[i] % 4];
  return v;
#endif
}

// Of each 2 * kStride lanes the first half, kHigh: the second: a's in the first places, b's in the others.
template <int kStride, bool kHigh, typename Vector, int... kLane>
Vector halves(Vector a, Vector b, std::integer_sequence<int, kLane...>) {
  constexpr auto from = [](int lane) {
    return (lane % (2 * kStride) < kStride ? lane : lane - kStride + kWidth) + (kHigh ? kStride : 0);
  };
  return __builtin_shufflevector(a, b, from(kLane)...);
}
template <int kStride, typename Vector, typename Op>
Vector joined(Vector a, Vector b, Op op) {
  constexpr auto lanes = std::make_integer_sequence<int, kWidth>();
  return op(halves<kStride, false>(a, b, lanes), halves<kStride, true>(a, b, lanes));
}

// What `op` makes of all lanes of v, over strides of kWidth / 2 ... 1, in lane 0.
template <int kStride = kWidth / 2, typename Vector, typename Op>
Vector across(Vector v, Op op) {
  v = joined<kStride>(v, v, op);
  if constexpr (kStride > 1) return across<kStride / 2>(v, op);
  return v;
}
// The same of v[i] in lane i, all at once.
template <int kStride = kWidth / 2, typename Vector, typename Op>
Vector across_each(Vector (&v)[kWidth], Op op) {
  for (int i = 0; i < kStride; ++i) v[i] = joined<kStride>(v[i], v[i + kStride], op);
  if constexpr (kStride > 1) return across_each<kStride / 2>(v, op);
  return v[0];
}

template <typename Vector>
Vector larger(Vector a, Vector b) {
  return a > b ? a : b;
}
// Of memory that will be read soon; the address need not be one.
inline void prefetch(const void* from, int bytes) {
  const auto first = reinterpret_cast<uintptr_t>(from);
  for (int i = 0; i < bytes; i += 64)
    __builtin_prefetch(reinterpret_cast<const void*>(first + static_cast<uintptr_t>(i)));
}

// ---- Stores past the caches ----------------------------------------------------------------------------------------

// What is larger than the caches keep is better written around them: a line need not be read before. Such stores want
// whole 16 bytes, and a fence behind the last.
constexpr int64_t kStreamAlignment = 16;

template <bool kStream, typename Vector>
void store(void* to, Vector v) {
#if LOWBIT_AVX2
  if constexpr (kStream) {
    __m128i piece[sizeof(v) / sizeof(__m128i)];
    std::memcpy(piece, &v, sizeof(v));
    for (const __m128i& p : piece) _mm_stream_si128(static_cast<__m128i*>(to) + (&p - piece), p);
    return;
  }
#endif
  std::memcpy(to, &v, sizeof(v));
}

template <bool kStream>
void fence() {
#if LOWBIT_AVX2
  if constexpr (kStream) _mm_sfence();
#endif
}

inline bool is_aligned(const void* address) { return reinterpret_cast<uintptr_t>(address) % kStreamAlignment == 0; }

}  // namespace lowbit::core::LOWBIT_ISA
