// A kernel that does nothing.
#pragma once

#include <cuda_runtime.h>

namespace lowbit::bench {

void launch_empty(cudaStream_t stream);

}  // namespace lowbit::bench
