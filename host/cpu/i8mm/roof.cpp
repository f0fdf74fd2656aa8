#include <arm_neon.h>

#include "cpu/roof.h"
#include "cpu/roof_loops.h"

namespace lowbit::core::i8mm {

int64_t multiply_adds(int64_t rounds) {
  constexpr int kChains = 16;
  const int8x16_t b = vdupq_n_s8(-5);
  cpu::run_chains<kChains, int32x4_t>(rounds, vdupq_n_s8(3),
                                      [&](int32x4_t sum, int8x16_t a) { return vmmlaq_s32(sum, a, b); });
  return rounds * kChains * 32;
}

}  // namespace lowbit::core::i8mm
