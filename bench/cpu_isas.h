// The instruction sets that kernels of the cpu backend are written for, and what a core does at most with each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace lowbit::bench {

struct Isa {
  uint64_t features;                         // what a device keeps of its own
  int64_t (*multiply_adds)(int64_t rounds);  // of int8, from registers only; returns how many it did
  void (*read)(const void* data, size_t size);
};

// Of this build's architecture, worst first.
std::span<const Isa> isas();

}  // namespace lowbit::bench
