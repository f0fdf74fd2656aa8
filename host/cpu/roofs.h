// The most that the processor can do, measured: what the times of kernels are held against.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>

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

namespace lowbit::core::cpu {

// What a core does with an instruction set, in a file that is compiled for it.
struct Roof {
  uint64_t features;  // what a device has of it
  // int8 multiply-adds into int32, exact for all codes, by the set's best instructions on operands in registers; as many
  // chains of sums as hide their latency. Returns how many multiply-adds `rounds` rounds are. NULL without a set.
  int64_t (*multiply_adds)(int64_t rounds);
  // Reads every byte of whole 512 bytes, one after the other.
  void (*read)(const void* data, size_t size);
};

// Of this build's architecture, worst first; the first is for no set at all.
std::span<const Roof> roofs();

// The least times of a device.
class Floors {
 public:
  Floors(uint64_t features, int threads);
  // In ns, for work of so many bytes and operations: what a plain read of the bytes takes, hot in whatever cache holds
  // them, or multiply-adds on registers, whichever is longer. Measured once for each size.
  double least_time(double bytes, double operations);

 private:
  double read_time(double bytes);
  double arithmetic_time(double operations);

  const int threads_;
  Roof roof_ = {};
  std::mutex mutex_;
  std::map<int64_t, double> reads_;  // ns, by pages
  double multiply_add_ = 0;          // ns, of one thread; 0 until it is measured
};

}  // namespace lowbit::core::cpu
