// Default floating-point environment for a scope: round to nearest even, subnormals kept, exceptions masked.
// Every entry of a host backend and every worker thread holds one, so that results do not depend on the caller's
// settings.
#pragma once

#if defined(__SSE2__)
#include <xmmintrin.h>
#elif defined(__aarch64__)
#include <cstdint>
#else
#include <cfenv>
#endif

namespace lowbit::core {

class FloatEnvironment {
 public:
#if defined(__SSE2__)
  FloatEnvironment() : saved_(_mm_getcsr()) { _mm_setcsr(kDefault); }
  ~FloatEnvironment() { _mm_setcsr(saved_); }
#elif defined(__aarch64__)
  FloatEnvironment() {
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved_));
    set(kDefault);
  }
  ~FloatEnvironment() { set(saved_); }
#else
  FloatEnvironment() { std::feholdexcept(&saved_), std::fesetenv(FE_DFL_ENV); }
  ~FloatEnvironment() { std::fesetenv(&saved_); }
#endif
  FloatEnvironment(const FloatEnvironment&) = delete;
  FloatEnvironment& operator=(const FloatEnvironment&) = delete;

 private:
#if defined(__SSE2__)
  static constexpr unsigned kDefault = 0x1f80;  // all exceptions masked, nearest even, no FTZ, no DAZ
  unsigned saved_;
#elif defined(__aarch64__)
  // fesetenv(FE_DFL_ENV) would leave the bit DN, which makes every NaN the same.
  static constexpr uint64_t kDefault = 0;
  static void set(uint64_t fpcr) { __asm__ volatile("msr fpcr, %0" : : "r"(fpcr) : "memory"); }
  uint64_t saved_;
#else
  std::fenv_t saved_;
#endif
};

}  // namespace lowbit::core
