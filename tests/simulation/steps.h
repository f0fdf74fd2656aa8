// The steps that kernels of an instruction set are made of (host/cpu/isa.h, tile.h, floats.h) as functions of bytes, to
// compare what the simulation makes of them with what the processor does.
#pragma once

#include <cstdint>

namespace lowbit::test {

constexpr int kStepInput = 32768, kStepOutput = 8192;  // bytes

struct Step {
  const char* name;
  void (*run)(const uint8_t* in, uint8_t* out);
};
struct Steps {
  const Step* first;
  int count;
};

}  // namespace lowbit::test

#define LOWBIT_DECLARE_STEPS(isa)          \
  namespace lowbit::core::isa {            \
  extern const lowbit::test::Steps kSteps; \
  }
LOWBIT_DECLARE_STEPS(native_avx2)
LOWBIT_DECLARE_STEPS(native_avxvnni)
LOWBIT_DECLARE_STEPS(native_avx512vnni)
LOWBIT_DECLARE_STEPS(native_amx)
LOWBIT_DECLARE_STEPS(simulated_avx2)
LOWBIT_DECLARE_STEPS(simulated_avxvnni)
LOWBIT_DECLARE_STEPS(simulated_avx512vnni)
LOWBIT_DECLARE_STEPS(simulated_amx)
#undef LOWBIT_DECLARE_STEPS
