#include "empty.h"

#include "../bench.h"

namespace lowbit::bench {
namespace {

__global__ void empty() {}

}  // namespace

void launch_empty(cudaStream_t stream) {
  cudaLaunchConfig_t config{};
  config.gridDim = config.blockDim = dim3(1);
  config.stream = stream;
  check(cudaLaunchKernelEx(&config, empty));
}

}  // namespace lowbit::bench
