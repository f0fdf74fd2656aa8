// What a backend must provide: memory, streams, and copies between host and device. Kernels come from the kernel table.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "codes.h"
#include "lowbit/lowbit.h"
#include "status.h"

namespace lowbit::core {

enum class Backend { cuda, vulkan, cpu, reference };

class DeviceTimes;
struct KernelRow;
class Profiler;
class RhoStatistics;
class Samples;
class Stream;
struct Work;

// Why the first choice was passed over.
struct Fallback {
  lowbit_fallback_reason reason = LOWBIT_FALLBACK_NONE;
  std::string detail;
};

// What was found about a kernel on this device.
enum class KernelState : uint8_t { untested, passed, barred };

class Device : public std::enable_shared_from_this<Device> {
 public:
  Device(Backend backend, lowbit_device_info info, std::span<const KernelRow> kernels,
         const lowbit_device_options& how);
  virtual ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  Backend backend() const { return backend_; }
  const lowbit_device_info& info() const { return info_; }
  bool allow_fallback() const { return allow_fallback_; }
  // What does calls over host memory that this device cannot do; NULL where it may not fall back, or shares the host's
  // memory.
  Device* fallback() const { return fallback_.get(); }
  // Backends that `auto` would have taken before this one's.
  const Fallback& passed_over() const { return passed_over_; }
  // When it is opened.
  void set_fallback(std::shared_ptr<Device> fallback) { fallback_ = std::move(fallback); }
  void set_passed_over(Fallback passed_over) { passed_over_ = std::move(passed_over); }
  lowbit_guard guard() const { return guard_; }
  // Whether a tensor's data is an address; of Vulkan it is the handle of a buffer.
  bool has_addresses() const { return backend_ != Backend::vulkan; }
  // Of a GPU; 1 where work is not spread over any.
  virtual int multiprocessors() const { return 1; }
  // Among all that its driver lists.
  virtual int ordinal() const { return 0; }
  // In how many parts, at once, to do `tasks` on host memory that take one thread about `nanoseconds` together.
  virtual int parts(int64_t tasks, double nanoseconds) const;
  // Bytes of an output on host memory that are so many that they are better written around the caches.
  virtual int64_t most_cached() const;

  // The table, best first; every row of every backend.
  std::span<const KernelRow> kernels() const { return kernels_; }
  // The rows that may serve an operation here, if the guard lets them, best first.
  std::span<const KernelRow* const> kernels(lowbit_operation operation) const {
    return kernels_of_[static_cast<size_t>(operation)];
  }
  KernelState state(const KernelRow& kernel) const;
  void set_state(const KernelRow& kernel, KernelState state);

  // Uninitialised memory aligned to 64 bytes; release() waits for its last use.
  virtual Status allocate(size_t size, void** memory) = 0;
  virtual void release(void* memory) noexcept = 0;
  virtual Status create_stream(std::unique_ptr<Stream>* stream) = 0;
  // A stream over the caller's own, which outlives it.
  virtual Status wrap_stream(void* native, std::unique_ptr<Stream>* stream);

  // Whether work has run when its call returns, so that the host's clock measures kernels.
  bool runs_at_once() const { return backend_ == Backend::cpu || backend_ == Backend::reference; }
  // What kernels are measured by; NULL while they are not.
  Profiler* profiler() const { return active_profiler_.load(std::memory_order_acquire); }
  // What was measured, also after the end; NULL where nothing ever was.
  Profiler* measured() const;
  // With a path, the trace is written there now, empty, and again when the device goes.
  Status start_profiling(const std::string& path = "");
  void stop_profiling() { active_profiler_ = nullptr; }

  // Bytes of Memory there are, and the most there were at once.
  uint64_t memory_in_use() const { return memory_in_use_; }
  uint64_t memory_peak() const { return memory_peak_; }
  void count_memory(size_t size);
  void uncount_memory(size_t size) { memory_in_use_ -= size; }
  // Bytes that were taken from the driver or the system, and not given back.
  virtual uint64_t memory_reserved() const { return memory_in_use_; }
  // The least time for such work, in ns; 0 where nothing is known.
  virtual double least_time(const Work&) { return 0; }

 private:
  // Puts the device's clock beside the host's, before a profile starts. LOWBIT_UNSUPPORTED where there is none.
  virtual Status start_clock() { return {}; }
  size_t index_of(const KernelRow& kernel) const;

  Backend backend_;
  lowbit_device_info info_;
  bool allow_fallback_;
  std::span<const KernelRow> kernels_;
  std::array<std::vector<const KernelRow*>, kOperationCount> kernels_of_;
  std::unique_ptr<std::atomic<KernelState>[]> states_;
  std::shared_ptr<Device> fallback_;
  Fallback passed_over_;
  lowbit_guard guard_;
  mutable std::mutex profiler_mutex_;
  std::unique_ptr<Profiler> profiler_;
  std::string trace_path_;
  std::atomic<Profiler*> active_profiler_ = nullptr;
  std::atomic<uint64_t> memory_in_use_ = 0, memory_peak_ = 0;
};

// A place in device memory: `data` as a tensor has it, an address or a handle, and bytes from there.
struct Location {
  void* data = nullptr;
  uint64_t offset = 0;

  // Where data is an address.
  template <typename T>
  T* as() const {
    return reinterpret_cast<T*>(static_cast<std::byte*>(data) + offset);
  }
};

// `count` rows of device memory, of `size` bytes each and `pitch` bytes apart.
struct MemoryRows {
  const void* data = nullptr;
  uint64_t offset = 0;
  size_t size = 0, pitch = 0, count = 1;
};

// A piece of device memory that keeps its device alive.
class Memory {
 public:
  Memory() = default;
  Memory(Memory&& other) noexcept { *this = std::move(other); }
  Memory& operator=(Memory&& other) noexcept;
  ~Memory() { reset(); }
  static Status create(std::shared_ptr<Device> device, size_t size, Memory* memory);

  Device& device() const { return *device_; }
  void* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  void reset() noexcept;
  std::shared_ptr<Device> device_;
  void* data_ = nullptr;
  size_t size_ = 0;
};

// What a piece of `size` bytes takes of a stream's scratch, so that the next is aligned too.
constexpr size_t scratch_piece(size_t size) {
  constexpr size_t kAlignment = 64;
  return (size + kAlignment - 1) / kAlignment * kAlignment;
}

// An in-order queue, and the scratch memory of the calls on it.
class Stream {
 public:
  explicit Stream(std::shared_ptr<Device> device) : number(++count_), device_(std::move(device)) {}
  virtual ~Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  Device& device() const { return *device_; }

  virtual Status copy_to_device(void* data, uint64_t offset, const void* host, size_t size) = 0;
  virtual Status copy_to_host(void* host, const void* data, uint64_t offset, size_t size) = 0;
  virtual Status flush() = 0;
  virtual Status synchronize() = 0;
  // For samples of the parity guard: makes of `rows` what the host can read once all that is enqueued has run. Rows that
  // it reaches stay where they are. Others are copied, one behind the other, to byte `at` of the stream's room for
  // samples, which the first allocates; the copies are enqueued like any other work, and not waited for.
  static constexpr size_t kSampleRoom = size_t{8} << 20;
  virtual Status fetch([[maybe_unused]] size_t at, [[maybe_unused]] MemoryRows* rows) { return {}; }
  // The backend's own stream; NULL where it has none.
  virtual void* native() const { return nullptr; }
  // Whether what is enqueued goes into a graph instead of running.
  virtual bool is_capturing() const { return false; }

  // What measures its kernels for `profiler`; NULL where the host's clock does.
  virtual DeviceTimes* times(Profiler&) { return nullptr; }

  // Starts an operation: a fault that showed since the last call is returned here, and all scratch is free again.
  Status begin();
  // Memory for the operation in progress, aligned to 64. Pieces never move; what did not fit is joined at the next
  // begin(). A stream that is being captured cannot get more than there is: LOWBIT_NOT_READY.
  Status scratch(size_t size, Location* memory);
  Status reserve_scratch(size_t size);
  size_t scratch_size() const;

  // Keeps the first fault: begin() and synchronize() return it from then on.
  void set_fault(Status fault);
  const Status& fault() const { return fault_; }

  const char* last_call = "";  // of lowbit.h, without its prefix
  const char* last_kernel = "";
  Fallback fallback;                              // of the last operation
  std::shared_ptr<RhoStatistics> rho_statistics;  // NULL while nobody asks for them
  const uint64_t number;                          // in the order in which the process made them
  bool is_measured = true;  // by the device's profiler: not what the guard does, nor a caller's VkCommandBuffer
  std::shared_ptr<Samples> samples;  // of a caller's stream, where the device's guard takes some

 private:
  static inline std::atomic<uint64_t> count_ = 0;
  std::shared_ptr<Device> device_;
  std::vector<Memory> scratch_;
  size_t scratch_used_ = 0;      // of the last piece
  std::vector<Memory> retired_;  // scratch that a graph may still use
  bool was_captured_ = false;
  Status fault_;
};

}  // namespace lowbit::core

// The handles of the C boundary.
struct lowbit_device {
  std::shared_ptr<lowbit::core::Device> device;
};
struct lowbit_buffer {
  std::shared_ptr<lowbit::core::Memory> memory;  // shared with what was handed out of it
};
