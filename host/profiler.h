// Times of kernels. A device has no profiler until it is first asked to profile; a launch then asks for it by one load.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "lowbit/lowbit.h"
#include "status.h"
#include "work.h"

namespace lowbit::core {

// Counts of durations in buckets that are 1/64 of their size wide: quantiles to 1 % in 30 KB, however many there are.
class Durations {
 public:
  void add(int64_t nanoseconds);
  // The smallest duration that at least `share` of all are no longer than, to 1 %.
  double quantile(double share) const;

 private:
  static constexpr int kBits = 6;
  static size_t bucket_of(uint64_t duration);
  static double middle_of(size_t bucket);
  std::vector<uint64_t> counts_;
  uint64_t count_ = 0;
};

class Profiler {
 public:
  using Clock = std::chrono::steady_clock;

  // A kernel that ran from `begin` to `end`. Names are static; streams are numbered.
  void record(const char* kernel, uint64_t stream, Clock::time_point begin, Clock::time_point end, const Work& work);
  // By kernel, the one with the most time first.
  std::vector<lowbit_profile_entry> entries() const;
  void reset();
  // In the Trace Event Format, a lane a stream. `process` names them.
  Status write_trace(const char* path, std::string_view process) const;

 private:
  struct Event {
    const char* kernel;
    uint64_t stream;
    int64_t begin, duration;  // ns since start_
    Work work;
  };
  struct Totals {
    lowbit_profile_entry entry;
    Durations durations;
  };
  static constexpr size_t kMostEvents = size_t{1} << 20;  // in a trace; entries count what comes after, too

  mutable std::mutex mutex_;
  Clock::time_point start_ = Clock::now();
  std::map<std::string_view, Totals> totals_;
  std::vector<Event> events_;
  uint64_t left_out_ = 0;  // of the trace
};

}  // namespace lowbit::core
