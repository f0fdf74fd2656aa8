// CUDA's built-in functions of kernels.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "collectives.h"
#include "vectors.h"

// ---- Barriers and warps ----------------------------------------------------------------------------------------------

inline void __syncthreads() { lowbit::emulation::meet_block(lowbit::emulation::Meeting::syncthreads, false); }
inline int __syncthreads_count(int vote) {
  return static_cast<int>(meet_block(lowbit::emulation::Meeting::syncthreads_count, vote != 0));
}
inline int __syncthreads_and(int vote) {
  return meet_block(lowbit::emulation::Meeting::syncthreads_and, vote == 0) == 0;
}
inline int __syncthreads_or(int vote) { return meet_block(lowbit::emulation::Meeting::syncthreads_or, vote != 0) != 0; }

inline void __syncwarp(unsigned mask = 0xffffffffu) { lowbit::emulation::meet_warp(mask); }
inline unsigned __ballot_sync(unsigned mask, int vote) {
  return vote_warp(lowbit::emulation::Meeting::ballot, mask, vote != 0);
}
inline int __any_sync(unsigned mask, int vote) {
  return vote_warp(lowbit::emulation::Meeting::any, mask, vote != 0) != 0;
}
inline int __all_sync(unsigned mask, int vote) {
  return vote_warp(lowbit::emulation::Meeting::all, mask, vote == 0) == 0;
}

namespace lowbit::emulation {

// A source outside of the lane's segment of `width` lanes is the lane itself.
template <typename T>
T shuffle(Meeting kind, unsigned mask, T value, int source, int width) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  const int first = lane() / width * width;
  if (source < first || source >= first + width) source = lane();
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = shuffle_warp(kind, mask, bits, source);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

}  // namespace lowbit::emulation

template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  const int first = lowbit::emulation::lane() / width * width;
  return shuffle(lowbit::emulation::Meeting::shfl, mask, value, first + (source & (width - 1)), width);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned distance, int width = 32) {
  const int source = lowbit::emulation::lane() - static_cast<int>(distance);
  return shuffle(lowbit::emulation::Meeting::shfl_up, mask, value, source, width);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned distance, int width = 32) {
  const int source = lowbit::emulation::lane() + static_cast<int>(distance);
  return shuffle(lowbit::emulation::Meeting::shfl_down, mask, value, source, width);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int distance, int width = 32) {
  const int source = lowbit::emulation::lane() ^ distance;
  return shuffle(lowbit::emulation::Meeting::shfl_xor, mask, value, source, width);
}

// ---- Memory ----------------------------------------------------------------------------------------------------------

inline void __threadfence() { lowbit::emulation::fence(); }
inline void __threadfence_block() { lowbit::emulation::fence(); }
inline void __trap() { lowbit::emulation::trap(); }

template <typename T>
T __ldg(const T* from) {
  return *from;
}
template <typename T>
T __ldcg(const T* from) {
  return *from;
}
template <typename T>
T __ldcs(const T* from) {
  return *from;
}
template <typename T>
void __stcs(T* to, T value) {
  *to = value;
}

// Atomics order nothing, as on the device.
template <typename T>
T atomicExch(T* at, T value) {
  return __atomic_exchange_n(at, value, __ATOMIC_RELAXED);
}
template <typename T>
T atomicCAS(T* at, T expected, T value) {
  __atomic_compare_exchange_n(at, &expected, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return expected;
}
template <typename T>
T atomicAdd(T* at, std::type_identity_t<T> value) {
  return __atomic_fetch_add(at, value, __ATOMIC_RELAXED);
}
template <typename T>
T atomicOr(T* at, std::type_identity_t<T> value) {
  return __atomic_fetch_or(at, value, __ATOMIC_RELAXED);
}
template <typename T>
T atomicMax(T* at, std::type_identity_t<T> value) {
  T old = __atomic_load_n(at, __ATOMIC_RELAXED);
  while (old < value && !__atomic_compare_exchange_n(at, &old, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return old;
}
template <typename T>
T atomicMin(T* at, std::type_identity_t<T> value) {
  T old = __atomic_load_n(at, __ATOMIC_RELAXED);
  while (value < old && !__atomic_compare_exchange_n(at, &old, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return old;
}

// ---- Arithmetic: one rounding each, since builds forbid contraction --------------------------------------------------

inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __frcp_rn(float a) { return 1.0f / a; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }

inline float __int2float_rn(int v) { return static_cast<float>(v); }
inline float __ll2float_rn(long long v) { return static_cast<float>(v); }
inline float __double2float_rn(double v) { return static_cast<float>(v); }
inline int __float2int_rn(float v) {  // saturates; a NaN becomes 0
  if (std::isnan(v)) return 0;
  if (v >= 0x1p31f) return std::numeric_limits<int>::max();
  return v < -0x1p31f ? std::numeric_limits<int>::min() : static_cast<int>(std::nearbyint(v));
}

inline unsigned __float_as_uint(float v) { return std::bit_cast<unsigned>(v); }
inline int __float_as_int(float v) { return std::bit_cast<int>(v); }
inline float __uint_as_float(unsigned v) { return std::bit_cast<float>(v); }
inline float __int_as_float(int v) { return std::bit_cast<float>(v); }

inline int __popc(unsigned v) { return std::popcount(v); }
inline int __popcll(unsigned long long v) { return std::popcount(v); }
inline int __clz(int v) { return std::countl_zero(static_cast<unsigned>(v)); }
inline int __ffs(int v) { return __builtin_ffs(v); }
// Byte i is the byte of y:x that the low three bits of the selector's nibble i name.
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
  const uint64_t bytes = static_cast<uint64_t>(y) << 32 | x;
  unsigned result = 0;
  for (int i = 0; i < 4; ++i) {
    result |= static_cast<unsigned>(bytes >> 8 * (selector >> 4 * i & 7) & 0xff) << 8 * i;
  }
  return result;
}

inline int min(int a, int b) { return std::min(a, b); }
inline int max(int a, int b) { return std::max(a, b); }
inline unsigned min(unsigned a, unsigned b) { return std::min(a, b); }
inline unsigned max(unsigned a, unsigned b) { return std::max(a, b); }
inline long min(long a, long b) { return std::min(a, b); }
inline long max(long a, long b) { return std::max(a, b); }
inline unsigned long min(unsigned long a, unsigned long b) { return std::min(a, b); }
inline unsigned long max(unsigned long a, unsigned long b) { return std::max(a, b); }
inline long long min(long long a, long long b) { return std::min(a, b); }
inline long long max(long long a, long long b) { return std::max(a, b); }
inline unsigned long long min(unsigned long long a, unsigned long long b) { return std::min(a, b); }
inline unsigned long long max(unsigned long long a, unsigned long long b) { return std::max(a, b); }
inline float min(float a, float b) { return std::fmin(a, b); }
inline float max(float a, float b) { return std::fmax(a, b); }
inline double min(double a, double b) { return std::fmin(a, b); }
inline double max(double a, double b) { return std::fmax(a, b); }
