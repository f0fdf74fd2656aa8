// The most that the processor can do, measured: what the times of kernels are held against.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>

namespace lowbit::core::cpu {

// roof.h's functions for an instruction set.
struct RoofKernels {
  uint64_t features;                         // what a device has of it
  int64_t (*multiply_adds)(int64_t rounds);  // NULL without a set
  void (*read)(const void* data, size_t size);
};

// Of this build's architecture, worst first; the first is for no set at all.
std::span<const RoofKernels> roof_kernels();

// The least times of a device.
class Floors {
 public:
  Floors(uint64_t features, int threads);
  // In ns, for work of so many bytes and operations: what a plain read of the bytes takes, hot in whatever cache holds
  // them, by one thread or by all, or multiply-adds on the registers of all, whichever is longer. Measured once for each
  // size.
  double least_time(double bytes, double operations);

 private:
  double read_time(double bytes);
  double arithmetic_time(double operations);

  const int threads_;
  RoofKernels kernels_ = {};
  std::mutex mutex_;
  std::map<int64_t, double> reads_;  // ns, by pages
  double multiply_add_ = 0;          // ns; 0 until it is measured
};

}  // namespace lowbit::core::cpu
