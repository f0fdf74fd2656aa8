// In place of host/cpu/detect.cpp: a processor that has every instruction set of x86.
#include "cpu/detect.h"

#include "lowbit/lowbit.h"

namespace lowbit::core::cpu {

uint64_t detect_features() {
  return LOWBIT_FEATURE_AVX2 | LOWBIT_FEATURE_AVX_VNNI | LOWBIT_FEATURE_AVX512_VNNI | LOWBIT_FEATURE_AMX_INT8;
}

}  // namespace lowbit::core::cpu
