#include <arm_neon.h>

#include "cpu/roof.h"

namespace lowbit::core::i8mm {

int64_t multiply_adds(int64_t rounds) {
  constexpr int kChains = 16;
  int8x16_t a = vdupq_n_s8(3), b = vdupq_n_s8(-5);
  int32x4_t sums[kChains] = {};
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
    for (int32x4_t& sum : sums) {
      asm volatile("" : "+w"(a));  // a new operand, as far as the compiler knows
      sum = vmmlaq_s32(sum, a, b);
    }
  }
#pragma GCC unroll 16
  for (int32x4_t& sum : sums) asm volatile("" : : "w"(sum));
  return rounds * kChains * 32;
}

}  // namespace lowbit::core::i8mm
