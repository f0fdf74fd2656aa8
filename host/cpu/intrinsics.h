// The intrinsics of the instruction set that a file is compiled for, and whether its vectors are those of AVX2 or of
// AVX-512. Where LOWBIT_SIMULATED is the bytes of a vector, functions of tests/simulation take the place of a set that
// neither the compiler nor the processor need have.
#pragma once

#if defined(LOWBIT_SIMULATED)
#include "simulation/x86.h"
#define LOWBIT_AVX2 (LOWBIT_SIMULATED >= 32)
#define LOWBIT_AVX512 (LOWBIT_SIMULATED >= 64)
#elif defined(__AVX2__)
#include <immintrin.h>
#define LOWBIT_AVX2 1
#if defined(__AVX512BW__)
#define LOWBIT_AVX512 1
#endif
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif
