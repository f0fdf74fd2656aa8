// What tests of the emulator share: launching, device memory, and which sanitizer the test is built with.
#pragma once

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <vector>

#if defined(__has_feature)
#define LOWBIT_HAS_FEATURE(feature) __has_feature(feature)
#else
#define LOWBIT_HAS_FEATURE(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || LOWBIT_HAS_FEATURE(address_sanitizer)
#define LOWBIT_NEEDS_ADDRESS_SANITIZER
#else
#define LOWBIT_NEEDS_ADDRESS_SANITIZER GTEST_SKIP() << "not built with AddressSanitizer"
#endif
#if defined(__SANITIZE_THREAD__) || LOWBIT_HAS_FEATURE(thread_sanitizer)
#define LOWBIT_NEEDS_THREAD_SANITIZER
#else
#define LOWBIT_NEEDS_THREAD_SANITIZER GTEST_SKIP() << "not built with ThreadSanitizer"
#endif

namespace lowbit::test {

template <typename T>
class DeviceArray {
 public:
  explicit DeviceArray(size_t count) : count_(count) { cudaMalloc(&data_, count * sizeof(T)); }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    cudaMemcpy(data_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice);
  }
  ~DeviceArray() { cudaFree(data_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* data() const { return data_; }
  std::vector<T> values() const {
    std::vector<T> values(count_);
    cudaMemcpy(values.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost);
    return values;
  }

 private:
  T* data_ = nullptr;
  size_t count_;
};

// Launches, and waits.
template <typename... Parameters, typename... Arguments>
void run(void (*kernel)(Parameters...), dim3 blocks, dim3 threads, size_t shared_bytes, Arguments... arguments) {
  const cudaLaunchConfig_t config{blocks, threads, shared_bytes};
  ASSERT_EQ(cudaLaunchKernelEx(&config, kernel, arguments...), cudaSuccess);
  ASSERT_EQ(cudaStreamSynchronize(nullptr), cudaSuccess);
}

class EmulationDeathTest : public testing::Test {
 protected:
  // A forked process would have the fibres, but not what ThreadSanitizer knows of them.
  EmulationDeathTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

}  // namespace lowbit::test
