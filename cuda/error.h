// CUDA's errors as Statuses.
#pragma once

#include <cuda_runtime.h>

#include "status.h"

namespace lowbit::core::cuda {

// Errors that the context does not outlive: every later call on the device returns them too.
bool is_sticky(cudaError_t error);

// "<what>: cudaErrorIllegalAddress (an illegal memory access was encountered)". OUT_OF_MEMORY for exhausted memory,
// DEVICE_LOST for what sticks, DRIVER_ERROR for the rest. `what` is what was being done. A launch error that does not
// stick is cleared, so that it is not found again by the caller's own calls.
Status check(cudaError_t error, const char* what);

}  // namespace lowbit::core::cuda
