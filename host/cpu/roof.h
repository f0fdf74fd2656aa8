// The most that a core can do with an instruction set: functions to measure it by, in files compiled for that set.
#pragma once

#include <cstddef>
#include <cstdint>

// multiply_adds: int8 multiply-adds into int32, exact for all codes, by the set's best instructions on operands in
// registers; as many chains of sums as hide their latency. Returns how many multiply-adds `rounds` rounds are.
// read: reads every byte of whole 512 bytes that are aligned to 64, one after the other.
#define LOWBIT_DECLARE_ROOF(isa)            \
  namespace lowbit::core::isa {             \
  int64_t multiply_adds(int64_t rounds);    \
  void read(const void* data, size_t size); \
  }  // namespace lowbit::core::isa

LOWBIT_DECLARE_ROOF(avx2)        // vpmaddwd, vpaddd: codes widened to 16 bits
LOWBIT_DECLARE_ROOF(avxvnni)     // vpdpbusd of 256 bits
LOWBIT_DECLARE_ROOF(avx512vnni)  // vpdpbusd of 512 bits
LOWBIT_DECLARE_ROOF(amx)         // tdpbssd; the process has the system's leave to use tiles
LOWBIT_DECLARE_ROOF(dotprod)     // sdot
LOWBIT_DECLARE_ROOF(i8mm)        // smmla
#undef LOWBIT_DECLARE_ROOF
