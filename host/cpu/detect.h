// The instruction sets of this processor that the library has kernels for.
#pragma once

#include <cstdint>

namespace lowbit::core::cpu {

// lowbit_feature bits: what the processor has and the system lets programs use (CPUID, XGETBV and arch_prctl on x86,
// HWCAP on Arm).
uint64_t detect_features();

}  // namespace lowbit::core::cpu
