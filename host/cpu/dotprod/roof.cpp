#include <arm_neon.h>

#include "cpu/roof.h"
#include "cpu/roof_loops.h"

namespace lowbit::core::dotprod {

int64_t multiply_adds(int64_t rounds) {
  constexpr int kChains = 16;
  const int8x16_t b = vdupq_n_s8(-5);
  cpu::run_chains<kChains, int32x4_t>(rounds, vdupq_n_s8(3),
                                      [&](int32x4_t sum, int8x16_t a) { return vdotq_s32(sum, a, b); });
  return rounds * kChains * 16;
}

void read(const void* data, size_t size) { cpu::read_all<uint8x16_t>(data, size); }

}  // namespace lowbit::core::dotprod
