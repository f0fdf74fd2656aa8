// The CUDA backend's device and stream.
#pragma once

#include <cuda_runtime.h>

#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "apart_from_captures.h"
#include "device.h"
#include "staging.h"

namespace lowbit::core::cuda {

// Makes a device current for a scope, and the caller's again after it.
class CurrentDevice {
 public:
  explicit CurrentDevice(int ordinal);
  ~CurrentDevice();
  CurrentDevice(const CurrentDevice&) = delete;
  CurrentDevice& operator=(const CurrentDevice&) = delete;

 private:
  int before_ = 0;
  bool changed_ = false;
};

class CudaStream;
struct Anchor;
class EventTimes;

class CudaDevice final : public core::Device {
 public:
  CudaDevice(int ordinal, const cudaDeviceProp& properties, lowbit_device_info info, std::span<const KernelRow> kernels,
             const lowbit_device_options& how);
  ~CudaDevice() override;
  // The memory pool, the stream of allocations, and every kernel loaded: nothing of it is left to a launch.
  Status initialize();

  int ordinal() const override { return ordinal_; }
  int multiprocessors() const override { return multiprocessors_; }

  Status allocate(size_t size, void** memory) override;
  void release(void* memory) noexcept override;
  uint64_t memory_reserved() const override;
  double least_time(const core::Work& work) override;
  Status create_stream(std::unique_ptr<core::Stream>* stream) override;
  Status wrap_stream(void* native, std::unique_ptr<core::Stream>* stream) override;

  Status zero(void* memory, size_t size);  // and waits
  // Of the profile that was last started.
  std::shared_ptr<const Anchor> anchor() const;

 private:
  friend class CudaStream;
  Status start_clock() override;
  // What the device can do at most in a nanosecond; 0: not known.
  struct Rates {
    double bytes, multiply_adds;
  };
  void ask_rates();

  int ordinal_, capability_;  // 90: compute capability 9.0
  int multiprocessors_;
  Rates rates_ = {};
  cudaMemPool_t pool_ = nullptr;
  cudaStream_t allocations_ = nullptr;
  mutable std::mutex mutex_;
  std::shared_ptr<const Anchor> anchor_;
  std::set<CudaStream*> streams_;
  std::vector<void*> kept_;  // released while a stream was being captured, which cannot be waited for
};

// What kernels keep in device memory between calls of a stream. A kernel leaves the tickets at zero.
struct Control {
  static constexpr int kTickets = 16384;
  unsigned long long bad_data;  // 0, or ~index of the first value that a kernel had to refuse
  unsigned int tickets[kTickets];
};

// What a refused index means.
using BadDataSentence = std::string (*)(uint64_t index);

class CudaStream final : public core::Stream {
 public:
  CudaStream(std::shared_ptr<core::Device> device, cudaStream_t native, bool is_owned);
  ~CudaStream() override;
  Status initialize();

  CudaDevice& cuda_device() const { return static_cast<CudaDevice&>(device()); }
  cudaStream_t handle() const { return handle_; }
  Control* control() const { return static_cast<Control*>(control_.data()); }
  // Called by an operation whose kernel may refuse data: synchronize() looks and says `sentence`.
  void watch_data(BadDataSentence sentence) { bad_data_sentence_ = sentence; }

  void* native() const override { return handle_; }
  bool is_capturing() const override;
  DeviceTimes* times(Profiler& profiler) override;
  Status copy_to_device(void* data, uint64_t offset, const void* host, size_t size) override;
  Status copy_to_host(void* host, const void* data, uint64_t offset, size_t size) override;
  Status fetch(size_t at, MemoryRows* rows) override;
  Status flush() override { return {}; }
  Status synchronize() override;

  // check(), and a sticky error becomes the stream's fault.
  Status attempt(cudaError_t error, const char* what);
  // attempt() of a launch; the sentence names the kernel.
  Status launched(cudaError_t error);

 private:
  Status check_data();
  Status copy(void* to, const void* from, size_t size, cudaMemcpyKind kind);

  cudaStream_t handle_;
  bool is_owned_;
  Memory control_;
  Staging staging_;
  std::unique_ptr<EventTimes> times_;  // once it was measured
  BadDataSentence bad_data_sentence_ = nullptr;
};

}  // namespace lowbit::core::cuda
