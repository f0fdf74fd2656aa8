// The parity guard's built-in cases: one an operation, small, but with a tail in every tile and values on rounding
// edges.
#pragma once

#include <memory>
#include <vector>

#include "device.h"
#include "kernel_table.h"

namespace lowbit::core {

// Which of the formats a kernel takes, and a projection's rows and depth; what an operation has none of is ignored.
struct GuardCase {
  lowbit_format activations, weights;
  int64_t rows, depth;
};

// Runs the kernel's case on a stream and memory of its own and appends the words of its outputs to `out`; every NaN
// among floats as 0x7fc00000.
Status run_guard_case(std::shared_ptr<Device> device, const KernelRow& kernel, const GuardCase& guard_case,
                      std::vector<uint32_t>* out);

}  // namespace lowbit::core
