// Launching a kernel: the one way there is. Every kernel that is launched anywhere is enrolled before main(), so that
// opening a device can load it: a launch loads nothing.
#pragma once

#include <cuda_runtime.h>

#include "cuda_device.h"

namespace lowbit::core::cuda {

struct EnrolledKernel {
  explicit EnrolledKernel(const void* of) : function(of), next(first) { first = this; }
  const void* function;
  EnrolledKernel* next;
  static inline EnrolledKernel* first = nullptr;
};
template <auto kernel>
inline EnrolledKernel enrolled{reinterpret_cast<const void*>(kernel)};

struct Grid {
  dim3 blocks;
  unsigned threads;         // a block; whole warps
  size_t shared_bytes = 0;  // dynamic, what dynamic_shared() points to
};

// LOWBIT_UNSUPPORTED for more than a grid has along x.
inline Status check_blocks(int64_t blocks) {
  if (blocks <= INT32_MAX) return {};
  return {LOWBIT_UNSUPPORTED, "the output is larger than the cuda backend's grids"};
}

// launch<kernel<...>>(stream, {blocks, threads}, arguments...)
template <auto kernel, typename... Arguments>
Status launch(core::Stream& stream, const Grid& grid, const Arguments&... arguments) {
  (void)&enrolled<kernel>;
  CudaStream& on = static_cast<CudaStream&>(stream);
  const CurrentDevice current(on.cuda_device().ordinal());
  cudaLaunchConfig_t config{};
  config.gridDim = grid.blocks;
  config.blockDim = dim3(grid.threads);
  config.dynamicSmemBytes = grid.shared_bytes;
  config.stream = on.handle();
  return on.launched(cudaLaunchKernelEx(&config, kernel, arguments...));
}

}  // namespace lowbit::core::cuda
