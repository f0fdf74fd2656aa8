#include "event_times.h"

#include <cmath>

#include "cuda_device.h"

#if LOWBIT_HAVE_NVTX
#include <nvtx3/nvToolsExt.h>
#endif

namespace lowbit::core::cuda {
namespace {

// Names the launch in NVIDIA's profilers.
void push_range([[maybe_unused]] const char* kernel) {
#if LOWBIT_HAVE_NVTX
  nvtxRangePushA(kernel);
#endif
}

void pop_range() {
#if LOWBIT_HAVE_NVTX
  nvtxRangePop();
#endif
}

// An error counts as no: the stream's own calls tell it.
bool has_run(cudaEvent_t event) {
  if (cudaEventQuery(event) == cudaSuccess) return true;
  cudaGetLastError();
  return false;
}

bool elapsed(cudaEvent_t from, cudaEvent_t to, std::chrono::nanoseconds* time) {
  float milliseconds = 0;
  if (cudaEventElapsedTime(&milliseconds, from, to) != cudaSuccess) {
    cudaGetLastError();
    return false;
  }
  *time = std::chrono::nanoseconds(std::llround(1e6 * double{milliseconds}));
  return true;
}

}  // namespace

EventTimes::EventTimes(CudaStream& stream, Profiler& profiler) : stream_(stream), profiler_(profiler) {
  profiler_.add(this);
}

EventTimes::~EventTimes() {
  profiler_.remove(this);
  const CurrentDevice current(stream_.cuda_device().ordinal());
  const ApartFromCaptures apart;
  // The stream has waited for them, but not if it was being captured.
  if (!waiting_.empty()) cudaEventSynchronize(waiting_.back().end);
  collect_locked();
  for (const Launch& launch : waiting_) free_.insert(free_.end(), {launch.begin, launch.end});
  free_.insert(free_.end(), {open_.begin, open_.end, last_});
  for (cudaEvent_t event : free_) {
    if (event != nullptr) cudaEventDestroy(event);
  }
}

Status EventTimes::take(cudaEvent_t* event) {
  if (*event != nullptr) return {};
  const std::lock_guard lock(mutex_);
  if (free_.empty()) return stream_.attempt(cudaEventCreate(event), "creating an event");
  *event = free_.back();
  free_.pop_back();
  return {};
}

Status EventTimes::begin(const char* kernel) {
  if (stream_.is_capturing()) return {};
  const CurrentDevice current(stream_.cuda_device().ordinal());
  LOWBIT_TRY(take(&open_.begin));
  LOWBIT_TRY(take(&open_.end));
  open_.anchor = stream_.cuda_device().anchor();
  LOWBIT_TRY(stream_.attempt(cudaEventRecord(open_.begin, stream_.handle()), "recording an event"));
  push_range(kernel);
  is_open_ = true;
  return {};
}

Status EventTimes::end(const Profiler::Call* call) {
  if (!is_open_) return {};
  is_open_ = false;
  pop_range();
  if (call == nullptr) return {};
  const CurrentDevice current(stream_.cuda_device().ordinal());
  LOWBIT_TRY(stream_.attempt(cudaEventRecord(open_.end, stream_.handle()), "recording an event"));
  open_.call = *call;
  const ApartFromCaptures apart;
  const std::lock_guard lock(mutex_);
  waiting_.push_back(std::move(open_));
  open_ = {};
  if (waiting_.size() >= kMany) collect_locked();
  return {};
}

void EventTimes::collect() {
  const CurrentDevice current(stream_.cuda_device().ordinal());
  const ApartFromCaptures apart;
  const std::lock_guard lock(mutex_);
  collect_locked();
}

void EventTimes::collect_locked() {
  while (!waiting_.empty() && has_run(waiting_.front().end) && record(waiting_.front())) {
    free_.push_back(waiting_.front().begin);
    waiting_.pop_front();
  }
}

bool EventTimes::record(const Launch& launch) {
  const bool is_chained = anchor_ == launch.anchor;
  const Profiler::Clock::time_point last_time = is_chained ? last_time_ : launch.anchor->time;
  std::chrono::nanoseconds before{}, duration{};
  if (!elapsed(is_chained ? last_ : launch.anchor->event, launch.begin, &before) ||
      !elapsed(launch.begin, launch.end, &duration)) {
    return false;
  }
  profiler_.record(launch.call, last_time + before, duration);
  if (last_ != nullptr) free_.push_back(last_);
  anchor_ = launch.anchor;
  last_ = launch.end;
  last_time_ = last_time + before + duration;
  return true;
}

}  // namespace lowbit::core::cuda
