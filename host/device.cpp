#include "device.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "kernel_table.h"
#include "profiler.h"

namespace lowbit::core {

Device::Device(Backend backend, lowbit_device_info info, std::span<const KernelRow> kernels,
               const lowbit_device_options& how)
    : backend_(backend),
      info_(info),
      allow_fallback_(how.allow_fallback != 0),
      kernels_(kernels),
      states_(new std::atomic<KernelState>[kernels.size()]()),
      guard_(how.guard) {
  for (const KernelRow& kernel : kernels) {
    if (may_serve_on(*this, kernel) && has_features(*this, kernel)) {
      kernels_of_[static_cast<size_t>(kernel.operation())].push_back(&kernel);
    }
  }
}

Device::~Device() {
  // A failure is only in lowbit_last_error(): nobody is left to return it to.
  if (!trace_path_.empty()) boundary([&] { return profiler_->write_trace(trace_path_.c_str(), info_.name); });
}

size_t Device::index_of(const KernelRow& kernel) const { return static_cast<size_t>(&kernel - kernels_.data()); }

KernelState Device::state(const KernelRow& kernel) const { return states_[index_of(kernel)].load(); }

void Device::set_state(const KernelRow& kernel, KernelState state) { states_[index_of(kernel)].store(state); }

Profiler* Device::measured() const {
  const std::lock_guard lock(profiler_mutex_);
  return profiler_.get();
}

Status Device::start_profiling(const std::string& path) {
  const std::lock_guard lock(profiler_mutex_);
  if (active_profiler_ == nullptr) LOWBIT_TRY(start_clock());
  if (!profiler_) profiler_ = std::make_unique<Profiler>(runs_at_once());
  if (!path.empty()) {
    LOWBIT_TRY(profiler_->write_trace(path.c_str(), info_.name));
    trace_path_ = path;
  }
  active_profiler_ = profiler_.get();
  return {};
}

void Device::count_memory(size_t size) {
  const uint64_t in_use = memory_in_use_ += size;
  uint64_t peak = memory_peak_;
  while (peak < in_use && !memory_peak_.compare_exchange_weak(peak, in_use)) {
  }
}

Memory& Memory::operator=(Memory&& other) noexcept {
  if (this != &other) {
    reset();
    device_ = std::move(other.device_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

Status Memory::create(std::shared_ptr<Device> device, size_t size, Memory* memory) {
  Memory made;
  LOWBIT_TRY(device->allocate(size, &made.data_));
  device->count_memory(size);
  made.device_ = std::move(device);
  made.size_ = size;
  *memory = std::move(made);
  return {};
}

void Memory::reset() noexcept {
  if (data_ != nullptr) {
    device_->release(data_);
    device_->uncount_memory(size_);
  }
  data_ = nullptr;
  device_.reset();
}

int Device::parts(int64_t, double) const { return 1; }

int64_t Device::most_cached() const { return INT64_MAX; }

Status Device::wrap_stream(void*, std::unique_ptr<Stream>*) {
  return {LOWBIT_UNSUPPORTED, fmt::format("stream_wrap: the {} backend has no streams of its own", info_.backend)};
}

Status Stream::begin() {
  if (fallback.reason != LOWBIT_FALLBACK_NONE) fallback = {};
  if (!fault_.ok()) return fault_;
  was_captured_ |= is_capturing();
  if (scratch_.size() > 1 && !is_capturing()) LOWBIT_TRY(reserve_scratch(scratch_size()));
  scratch_used_ = 0;
  return {};
}

Status Stream::scratch(size_t size, Location* memory) {
  size = scratch_piece(size);
  if (scratch_.empty() || scratch_.back().size() - scratch_used_ < size) {
    if (is_capturing()) {
      return {LOWBIT_NOT_READY,
              fmt::format("the call needs {} bytes more scratch than the stream has, and a stream that "
                          "is being captured cannot allocate: run it once before, or reserve",
                          size)};
    }
    Memory piece;
    LOWBIT_TRY(Memory::create(device_, size, &piece));
    scratch_.push_back(std::move(piece));
    scratch_used_ = 0;
  }
  *memory = {scratch_.back().data(), scratch_used_};
  scratch_used_ += size;
  return {};
}

Status Stream::reserve_scratch(size_t size) {
  size = std::max(size, scratch_size());  // never less than there is
  if (size == 0 || (scratch_.size() == 1 && scratch_.front().size() == size)) return {};
  if (is_capturing()) return {LOWBIT_NOT_READY, "scratch cannot be reserved while the stream is being captured"};
  Memory whole;
  LOWBIT_TRY(Memory::create(device_, size, &whole));
  if (was_captured_) std::move(scratch_.begin(), scratch_.end(), std::back_inserter(retired_));
  scratch_.clear();
  scratch_.push_back(std::move(whole));
  scratch_used_ = 0;
  return {};
}

size_t Stream::scratch_size() const {
  size_t size = 0;
  for (const Memory& piece : scratch_) size += piece.size();
  return size;
}

void Stream::set_fault(Status fault) {
  if (fault_.ok()) fault_ = std::move(fault);
}

}  // namespace lowbit::core
