// Division by a number that kernels get as an argument, by a multiplication.
#pragma once

#include <cuda_runtime.h>

#include <bit>
#include <cstdint>

namespace lowbit::core::cuda {

// Of 0 <= n < 2^31. With 2^(s-1) < value <= 2^s and m = ceil(2^(31+s) / value), n m / 2^(31+s) exceeds n / value by
// less than 1 / value: Granlund and Montgomery, Division by Invariant Integers using Multiplication (1994), theorem
// 4.2.
struct Divisor {
  int value = 1;
  uint32_t multiplier = 0;
  int shift = 0;

  Divisor() = default;
  explicit Divisor(int of)
      : value(of),
        multiplier(static_cast<uint32_t>(((uint64_t{1} << (31 + bits(of))) + static_cast<uint64_t>(of) - 1) /
                                         static_cast<uint64_t>(of))),
        shift(bits(of) - 1) {}

  __device__ __forceinline__ int divide(int n) const {
    return value == 1 ? n
                      : static_cast<int>(static_cast<uint32_t>(uint64_t{static_cast<uint32_t>(n)} * multiplier >> 32) >>
                                         shift);
  }

 private:
  static int bits(int of) { return of == 1 ? 0 : std::bit_width(static_cast<uint32_t>(of - 1)); }
};

}  // namespace lowbit::core::cuda
