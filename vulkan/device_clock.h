// The device's clock, which counts ticks in as many bits as the queue has, on the host's.
#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>
#include <mutex>

namespace lowbit::core::vulkan {

class DeviceClock {
 public:
  using Host = std::chrono::steady_clock;

  // `bits` 1 to 64, `period` in nanoseconds a tick; set() follows.
  void set_up(uint32_t bits, double period) {
    const std::lock_guard lock(mutex_);
    unused_ = 64 - bits;
    period_ = period;
  }
  // It shows `ticks` when the host's clock shows `time`.
  void set(uint64_t ticks, Host::time_point time) {
    const std::lock_guard lock(mutex_);
    last_ = ticks;
    since_ = 0;
    start_ = time;
  }
  // Ticks that begin again at 0 are told from earlier ones if they come within half a round of the last that was asked.
  Host::time_point time_of(uint64_t ticks) {
    const std::lock_guard lock(mutex_);
    since_ += static_cast<int64_t>((ticks - last_) << unused_) >> unused_;
    last_ = ticks;
    return start_ + nanoseconds(static_cast<double>(since_));
  }
  // From one to the other, less than a round.
  std::chrono::nanoseconds between(uint64_t begin, uint64_t end) {
    const std::lock_guard lock(mutex_);
    return nanoseconds(static_cast<double>(((end - begin) << unused_) >> unused_));
  }

 private:
  std::chrono::nanoseconds nanoseconds(double ticks) const {
    return std::chrono::nanoseconds(std::llround(ticks * period_));
  }

  std::mutex mutex_;
  uint32_t unused_ = 0;  // bits
  double period_ = 1;
  uint64_t last_ = 0;
  int64_t since_ = 0;  // from start_ to last_
  Host::time_point start_;
};

}  // namespace lowbit::core::vulkan
