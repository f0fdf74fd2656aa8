// The emulated device, and the way into every function of the runtime API.
#pragma once

#include <atomic>
#include <mutex>

#include "runtime_api.h"

namespace lowbit::emulation {

// Hooks set what they set at once, from any thread.
struct Device {
  std::atomic<int> major = 9, minor = 0;
  std::atomic<int> driver = CUDART_VERSION;
  std::atomic<int> count = 1;
  std::atomic<cudaError_t> fault = cudaSuccess;  // of its context
  std::atomic<size_t> allocations = 0, synchronizations = 0, launches = 0, events = 0;

  size_t most_shared() const {
    return (major >= 9 ? 227 : major == 8 ? 163 : 64) << 10;
  }  // of a kernel that asks for it
};
extern Device device;

constexpr size_t kShared = 48 << 10;   // of a kernel that does not
constexpr size_t kMostThreads = 2048;  // on a multiprocessor
int current_device();

// What the whole emulator is used under.
extern std::mutex mutex;

// The error that a test asked for; takes it.
cudaError_t injected(const char* function);
// Keeps an error for cudaGetLastError.
cudaError_t remember(cudaError_t error);

// Asks the driver, under the mutex.
template <typename Body>
cudaError_t ask(const char* function, Body body) {
  const std::lock_guard lock(mutex);
  const cudaError_t error = injected(function);
  return remember(error != cudaSuccess ? error : body());
}

// What needs the device's context.
template <typename Body>
cudaError_t call(const char* function, Body body) {
  return ask(function, [&] {
    const cudaError_t fault = device.fault;
    return fault != cudaSuccess ? fault : body();
  });
}

}  // namespace lowbit::emulation
