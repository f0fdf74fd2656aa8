// What the runtime API knows of kernels, and launching them.
#include <algorithm>
#include <map>

#include "block.h"
#include "emulated_device.h"
#include "emulated_stream.h"

namespace lowbit::emulation {
namespace {

constexpr size_t kReservedShared = 1024;  // of every block, for the system

// Dynamic bytes that a kernel may ask for.
std::map<const void*, size_t>& shared_limits() {
  static auto* const all = new std::map<const void*, size_t>;
  return *all;
}

size_t shared_limit(const void* kernel) {
  const auto found = shared_limits().find(kernel);
  return found == shared_limits().end() ? kShared : found->second;
}

bool within(const dim3& size, const dim3& most) {
  return size.x >= 1 && size.y >= 1 && size.z >= 1 && size.x <= most.x && size.y <= most.y && size.z <= most.z;
}

}  // namespace

cudaError_t launch(const cudaLaunchConfig_t& config, const void* kernel, std::function<void()> body) {
  return call_on("cudaLaunchKernelEx", config.stream, [&](Stream& stream) {
    const dim3 &blocks = config.gridDim, &threads = config.blockDim;
    if (!within(blocks, {0x7fffffff, 65535, 65535}) || !within(threads, {1024, 1024, 64}) ||
        size_t{threads.x} * threads.y * threads.z > 1024) {
      return cudaErrorInvalidConfiguration;
    }
    if (config.dynamicSmemBytes > shared_limit(kernel)) return cudaErrorInvalidValue;
    ++device.launches;
    return stream.enqueue(
        [grid = Grid{kernel, blocks, threads, config.dynamicSmemBytes, std::move(body)}] { run(grid); });
  });
}

}  // namespace lowbit::emulation

using namespace lowbit::emulation;

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* kernel) {
  return call(__func__, [=] {
    if (kernel == nullptr) return cudaErrorInvalidDeviceFunction;
    *attributes = {};
    attributes->maxThreadsPerBlock = 1024;
    attributes->numRegs = 32;
    attributes->binaryVersion = attributes->ptxVersion = device.major * 10 + device.minor;
    attributes->maxDynamicSharedSizeBytes = static_cast<int>(shared_limit(kernel));
    return cudaSuccess;
  });
}
cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute, int value) {
  return call(__func__, [=] {
    if (kernel == nullptr) return cudaErrorInvalidDeviceFunction;
    if (value < 0 || static_cast<size_t>(value) > device.most_shared()) return cudaErrorInvalidValue;
    shared_limits()[kernel] = static_cast<size_t>(value);
    return cudaSuccess;
  });
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* kernel, int threads, size_t shared) {
  return call(__func__, [=] {
    if (kernel == nullptr) return cudaErrorInvalidDeviceFunction;
    if (threads < 1 || threads > 1024) return cudaErrorInvalidValue;
    const size_t multiprocessor_shared = device.most_shared() + kReservedShared;
    const size_t by_shared = shared <= shared_limit(kernel) ? multiprocessor_shared / (shared + kReservedShared) : 0;
    *blocks = static_cast<int>(std::min({by_shared, kMostThreads / static_cast<size_t>(threads), size_t{32}}));
    return cudaSuccess;
  });
}
