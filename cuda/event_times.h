// When a stream's kernels ran: a pair of events around each launch, from a pool, asked once they have been reached.
#pragma once

#include <cuda_runtime.h>

#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "profiler.h"

namespace lowbit::core::cuda {

class CudaStream;

// An event and when, by the host's clock, it was reached.
struct Anchor {
  Anchor() = default;
  ~Anchor() {
    if (event != nullptr) cudaEventDestroy(event);
  }
  Anchor(const Anchor&) = delete;
  Anchor& operator=(const Anchor&) = delete;

  cudaEvent_t event = nullptr;
  Profiler::Clock::time_point time;
};

class EventTimes final : public DeviceTimes {
 public:
  EventTimes(CudaStream& stream, Profiler& profiler);
  ~EventTimes() override;  // what can be waited for has run
  EventTimes(const EventTimes&) = delete;
  EventTimes& operator=(const EventTimes&) = delete;

  // While the stream is being captured nothing is measured.
  Status begin(const char* kernel) override;
  Status end(const Profiler::Call* call) override;
  void collect() override;

 private:
  // So many launches may wait to be collected before calls do it, as far as they have run.
  static constexpr size_t kMany = 256;
  struct Launch {
    Profiler::Call call;
    std::shared_ptr<const Anchor> anchor;
    cudaEvent_t begin = nullptr, end = nullptr;
  };
  Status take(cudaEvent_t* event);
  void collect_locked();
  // False if CUDA cannot tell.
  bool record(const Launch& launch);

  CudaStream& stream_;
  Profiler& profiler_;
  bool is_open_ = false;
  Launch open_;  // owns its events whether or not it is

  std::mutex mutex_;
  std::vector<cudaEvent_t> free_;
  std::deque<Launch> waiting_;
  // The end of the last launch that was recorded, and the anchor it goes back to. Each launch's time is reckoned from
  // that of the one before, since what CUDA gives between two events is a float: of minutes it is off by microseconds.
  std::shared_ptr<const Anchor> anchor_;
  cudaEvent_t last_ = nullptr;
  Profiler::Clock::time_point last_time_;
};

}  // namespace lowbit::core::cuda
