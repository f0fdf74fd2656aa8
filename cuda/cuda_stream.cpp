#include <fmt/format.h>

#include "cuda_device.h"
#include "error.h"
#include "event_times.h"

namespace lowbit::core::cuda {

CudaStream::CudaStream(std::shared_ptr<core::Device> device, cudaStream_t native, bool is_owned)
    : Stream(std::move(device)), handle_(native), is_owned_(is_owned) {
  const std::lock_guard lock(cuda_device().mutex_);
  cuda_device().streams_.insert(this);
}

Status CudaStream::initialize() {
  if (is_capturing()) return {LOWBIT_NOT_READY, "a stream cannot be wrapped while it is being captured"};
  LOWBIT_TRY(Memory::create(device().shared_from_this(), sizeof(Control), &control_));
  return cuda_device().zero(control_.data(), sizeof(Control));
}

DeviceTimes* CudaStream::times(Profiler& profiler) {
  if (!times_) times_ = std::make_unique<EventTimes>(*this, profiler);
  return times_.get();
}

CudaStream::~CudaStream() {
  const CurrentDevice current(cuda_device().ordinal());
  const ApartFromCaptures apart;
  if (!is_capturing()) cudaStreamSynchronize(handle_);
  times_.reset();
  {
    const std::lock_guard lock(cuda_device().mutex_);
    cuda_device().streams_.erase(this);
  }
  if (is_owned_) cudaStreamDestroy(handle_);
}

Status CudaStream::attempt(cudaError_t error, const char* what) {
  Status status = check(error, what);
  if (is_sticky(error)) set_fault(status);
  return status;
}

Status CudaStream::launched(cudaError_t error) {
  return error == cudaSuccess ? Status() : attempt(error, fmt::format("launching {}", last_kernel).c_str());
}

bool CudaStream::is_capturing() const {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  return cudaStreamIsCapturing(handle_, &status) == cudaSuccess && status != cudaStreamCaptureStatusNone;
}

Status CudaStream::copy(void* to, const void* from, size_t size, cudaMemcpyKind kind) {
  const CurrentDevice current(cuda_device().ordinal());
  const ApartFromCaptures apart;
  const bool upload = kind == cudaMemcpyHostToDevice;
  if (is_capturing()) {
    return {LOWBIT_UNSUPPORTED, fmt::format("{}: the stream is being captured, and the graph would keep a host pointer",
                                            upload ? "copy_to_device" : "copy_to_host")};
  }
  cudaPointerAttributes attributes{};
  const void* host = upload ? from : to;
  const bool is_pinned =
      cudaPointerGetAttributes(&attributes, host) == cudaSuccess && attributes.type != cudaMemoryTypeUnregistered;
  Status status = upload && !is_pinned ? staging_.copy_to_device(handle_, to, from, size)
                                       : check(cudaMemcpyAsync(to, from, size, kind, handle_), "copying");
  if (status.code() == LOWBIT_DEVICE_LOST) set_fault(status);
  return status;
}

Status CudaStream::copy_to_device(void* data, uint64_t offset, const void* host, size_t size) {
  return copy(static_cast<std::byte*>(data) + offset, host, size, cudaMemcpyHostToDevice);
}

Status CudaStream::copy_to_host(void* host, const void* data, uint64_t offset, size_t size) {
  return copy(host, static_cast<const std::byte*>(data) + offset, size, cudaMemcpyDeviceToHost);
}

Status CudaStream::fetch(size_t at, MemoryRows* rows) {
  const CurrentDevice current(cuda_device().ordinal());
  const ApartFromCaptures apart;
  Status status = staging_.fetch(handle_, at, rows);
  if (status.code() == LOWBIT_DEVICE_LOST) set_fault(status);
  return status;
}

Status CudaStream::synchronize() {
  LOWBIT_TRY(fault());
  const CurrentDevice current(cuda_device().ordinal());
  const ApartFromCaptures apart;
  if (is_capturing()) return {LOWBIT_UNSUPPORTED, "synchronize: the stream is being captured, and nothing runs in it"};
  LOWBIT_TRY(attempt(cudaStreamSynchronize(handle_), "waiting for the stream"));
  if (times_) times_->collect();
  return bad_data_sentence_ == nullptr ? Status() : check_data();
}

// Refused data is not the stream's fault: it is told once, and the stream goes on.
Status CudaStream::check_data() {
  unsigned long long bad = 0;
  LOWBIT_TRY(attempt(cudaMemcpyAsync(&bad, &control()->bad_data, sizeof(bad), cudaMemcpyDeviceToHost, handle_),
                     "asking for refused data"));
  LOWBIT_TRY(attempt(cudaStreamSynchronize(handle_), "asking for refused data"));
  if (bad == 0) return {};
  LOWBIT_TRY(attempt(cudaMemsetAsync(&control()->bad_data, 0, sizeof(bad), handle_), "clearing refused data"));
  return {LOWBIT_INVALID_ARGUMENT, bad_data_sentence_(~bad)};
}

}  // namespace lowbit::core::cuda
