// Times of kernels. A device has no profiler until it is first asked to profile; a launch then asks for it by one load.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lowbit/lowbit.h"
#include "status.h"
#include "work.h"

namespace lowbit::core {

class DeviceTimes;
class Stream;

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

  // A call, on the host: what it launched, and when.
  struct Call {
    const char* kernel;  // the name in its row, and no copy
    Work work;
    const char* caller = "";  // as Stream::last_call has it: a projection quantizes its activations too
    uint64_t stream = 0;      // its number
    uint64_t round = 0;       // of the profile: reset() begins another
    Clock::time_point begin = {}, end = {};
  };

  // `runs_at_once`: whether kernels have run when their call returns.
  explicit Profiler(bool runs_at_once) : runs_at_once_(runs_at_once) {}

  // What the stream is given between the two is measured, by the host's clock, or later by the device's. end() takes what
  // came of it, and returns that; a failure is not measured.
  Status begin(Stream& stream, Call* call);
  Status end(Stream& stream, Call* call, Status launched);
  // A kernel that ran, on the host's clock. What was called before the last reset() is left out.
  void record(const Call& call, Clock::time_point begin, std::chrono::nanoseconds duration);

  // Streams that hold measurements, until they are removed.
  void add(DeviceTimes* times);
  void remove(DeviceTimes* times);
  // Takes over what has run on them by now.
  void collect();

  // By kernel, the one with the most time first.
  std::vector<lowbit_profile_entry> entries() const;
  void reset();
  // In the Trace Event Format, a lane a stream, and one of its calls where kernels run later. `process` names them.
  Status write_trace(const char* path, std::string_view process) const;

 private:
  struct Event {
    const char *kernel, *caller;
    uint64_t stream;
    int64_t begin, duration, call_begin, call_duration;  // ns, since start_
    Work work;
  };
  struct Totals {
    lowbit_profile_entry entry;
    Durations durations;
  };
  static constexpr size_t kMostEvents = size_t{1} << 20;  // in a trace; entries count what comes after, too

  const bool runs_at_once_;
  std::atomic<uint64_t> round_ = 0;
  mutable std::mutex mutex_;
  Clock::time_point start_ = Clock::now();
  std::unordered_map<const char*, Totals> totals_;
  std::vector<Event> events_;
  uint64_t left_out_ = 0;  // of the trace
  std::mutex times_mutex_;
  std::set<DeviceTimes*> times_;
};

// When the kernels of a stream ran, by its device's clock: of a backend whose work runs later than its call.
class DeviceTimes {
 public:
  virtual ~DeviceTimes() = default;
  // All that the stream is given until end() is the work of one kernel, to be measured.
  virtual Status begin(const char* kernel) = 0;
  // NULL for a call that failed, of which nothing is kept.
  virtual Status end(const Profiler::Call* call) = 0;
  // Records what has run, without waiting. Any thread calls it; the others are the stream's.
  virtual void collect() = 0;
};

}  // namespace lowbit::core
