#include "profiler.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <system_error>

#include "call.h"
#include "device.h"

namespace lowbit::core {
namespace {

// A JSON string's inside.
std::string escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out;
}

double microseconds(int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e3; }

}  // namespace

// Durations below 2^(kBits + 1) have a bucket each; above, the kBits bits below the first choose one of 64 for each power
// of two.
size_t Durations::bucket_of(uint64_t duration) {
  const int shift = std::max(0, static_cast<int>(std::bit_width(duration)) - kBits - 1);
  return static_cast<size_t>(shift) * (size_t{1} << kBits) + static_cast<size_t>(duration >> shift);
}

double Durations::middle_of(size_t bucket) {
  const size_t width = size_t{1} << kBits;
  const size_t shift = bucket < 2 * width ? 0 : bucket / width - 1;
  const double first = std::ldexp(static_cast<double>(bucket - shift * width), static_cast<int>(shift));
  return first + (std::ldexp(1.0, static_cast<int>(shift)) - 1) / 2;
}

void Durations::add(int64_t nanoseconds) {
  const size_t bucket = bucket_of(static_cast<uint64_t>(std::max<int64_t>(nanoseconds, 0)));
  if (bucket >= counts_.size()) counts_.resize(bucket + 1);
  ++counts_[bucket];
  ++count_;
}

double Durations::quantile(double share) const {
  const auto wanted = std::max<uint64_t>(1, static_cast<uint64_t>(std::ceil(share * static_cast<double>(count_))));
  uint64_t seen = 0;
  for (size_t bucket = 0; bucket < counts_.size(); ++bucket) {
    seen += counts_[bucket];
    if (seen >= wanted) return middle_of(bucket);
  }
  return 0;
}

Status Profiler::begin(Stream& stream, Call* call) {
  DeviceTimes* const times = stream.times(*this);
  call->caller = stream.last_call;
  call->stream = stream.number;
  call->round = round_;
  call->begin = Clock::now();
  return times == nullptr ? Status() : times->begin(call->kernel);
}

Status Profiler::end(Stream& stream, Call* call, Status launched) {
  call->end = Clock::now();
  if (DeviceTimes* const times = stream.times(*this)) {
    Status ended = times->end(launched.ok() ? call : nullptr);
    return launched.ok() ? ended : launched;
  }
  if (launched.ok()) record(*call, call->begin, call->end - call->begin);
  return launched;
}

void Profiler::record(const Call& call, Clock::time_point begin, std::chrono::nanoseconds duration) {
  const auto time = static_cast<double>(duration.count());
  const std::lock_guard lock(mutex_);
  if (call.round != round_) return;
  auto [found, is_new] = totals_.try_emplace(call.kernel);
  lowbit_profile_entry& entry = found->second.entry;
  if (is_new) entry = {.kernel = call.kernel, .minimum = time};
  ++entry.count;
  entry.total += time;
  entry.minimum = std::min(entry.minimum, time);
  entry.bytes += call.work.bytes;
  entry.operations += call.work.operations;
  found->second.durations.add(duration.count());
  if (events_.size() == kMostEvents) {
    ++left_out_;
    return;
  }
  const auto nanoseconds = [](Clock::duration d) { return std::chrono::nanoseconds(d).count(); };
  events_.push_back({call.kernel, call.caller, call.stream, nanoseconds(begin - start_), duration.count(),
                     nanoseconds(call.begin - start_), nanoseconds(call.end - call.begin), call.work});
}

void Profiler::add(DeviceTimes* times) {
  const std::lock_guard lock(times_mutex_);
  times_.insert(times);
}

void Profiler::remove(DeviceTimes* times) {
  const std::lock_guard lock(times_mutex_);
  times_.erase(times);
}

void Profiler::collect() {
  const std::lock_guard lock(times_mutex_);
  for (DeviceTimes* times : times_) times->collect();
}

std::vector<lowbit_profile_entry> Profiler::entries() const {
  const std::lock_guard lock(mutex_);
  std::vector<lowbit_profile_entry> entries;
  for (const auto& [name, totals] : totals_) {
    lowbit_profile_entry entry = totals.entry;
    entry.median = totals.durations.quantile(0.5);
    entry.p99 = totals.durations.quantile(0.99);
    entries.push_back(entry);
  }
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.total > b.total; });
  return entries;
}

void Profiler::reset() {
  const std::lock_guard lock(mutex_);
  ++round_;
  start_ = Clock::now();
  totals_.clear();
  events_.clear();
  left_out_ = 0;
}

Status Profiler::write_trace(const char* path, std::string_view process) const {
  const std::lock_guard lock(mutex_);
  std::string text =
      fmt::format("{{\"displayTimeUnit\":\"ns\",\"otherData\":{{\"left_out\":{}}},\"traceEvents\":[\n", left_out_);
  text += fmt::format("{{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":1,\"args\":{{\"name\":\"{}\"}}}}",
                      escaped(process));
  const auto name_lane = [&](size_t lane, const std::string& name) {
    text += fmt::format(
        ",\n{{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":{},\"args\":{{\"name\":\"{}\"}}}}", lane, name);
  };
  const auto add = [&](const Event& e, const char* category, size_t lane, int64_t begin, int64_t duration) {
    text += fmt::format(
        ",\n{{\"name\":\"{}\",\"cat\":\"{}\",\"ph\":\"X\",\"pid\":1,\"tid\":{},\"ts\":{:.3f},\"dur\":{:.3f},"
        "\"args\":{{\"call\":\"{}\",\"bytes\":{:.0f},\"operations\":{:.0f}}}}}",
        e.kernel, category, lane, microseconds(begin), microseconds(duration), e.caller, e.work.bytes,
        e.work.operations);
  };
  std::map<uint64_t, size_t> streams;
  for (const Event& e : events_) {
    const auto [stream, is_new] = streams.try_emplace(e.stream, streams.size() + 1);
    const std::string name = fmt::format("stream {}", stream->second);
    const size_t calls = 2 * stream->second - 1, lane = runs_at_once_ ? stream->second : calls + 1;
    if (is_new && !runs_at_once_) name_lane(calls, name + ", calls");
    if (is_new) name_lane(lane, name);
    if (!runs_at_once_) add(e, "call", calls, e.call_begin, e.call_duration);
    add(e, "kernel", lane, e.begin, e.duration);
  }
  text += "\n]}\n";
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path, "wb"), std::fclose);
  bool written = file && std::fwrite(text.data(), 1, text.size(), file.get()) == text.size();
  written = written && std::fflush(file.get()) == 0;
  if (written) return {};
  return {LOWBIT_INVALID_ARGUMENT,
          fmt::format("the trace cannot be written to {}: {}", path, std::generic_category().message(errno))};
}

}  // namespace lowbit::core

using namespace lowbit::core;

lowbit_status lowbit_profile_start(lowbit_device* device) {
  return boundary([&] {
    return device == nullptr ? Validator("profile_start").fail("device is NULL") : device->device->start_profiling();
  });
}

lowbit_status lowbit_profile_stop(lowbit_device* device) {
  return boundary([&]() -> Status {
    if (device == nullptr) return Validator("profile_stop").fail("device is NULL");
    device->device->stop_profiling();
    return {};
  });
}

lowbit_status lowbit_profile_reset(lowbit_device* device) {
  return boundary([&]() -> Status {
    if (device == nullptr) return Validator("profile_reset").fail("device is NULL");
    if (Profiler* profiler = device->device->measured()) profiler->reset();
    return {};
  });
}

lowbit_status lowbit_profile_get_entries(const lowbit_device* device, lowbit_profile_entry* entries, size_t* count) {
  return boundary([&]() -> Status {
    const Validator check("profile_get_entries");
    if (device == nullptr) return check.fail("device is NULL");
    if (count == nullptr) return check.fail("count is NULL");
    if (entries == nullptr && *count != 0) return check.fail("entries is NULL, but count is {}", *count);
    std::vector<lowbit_profile_entry> found;
    if (Profiler* profiler = device->device->measured()) {
      profiler->collect();
      found = profiler->entries();
    }
    std::copy_n(found.begin(), std::min(*count, found.size()), entries);
    *count = found.size();
    return {};
  });
}

lowbit_status lowbit_device_get_floor(lowbit_device* device, double bytes, double operations, double* nanoseconds) {
  return boundary([&]() -> Status {
    const Validator check("device_get_floor");
    if (device == nullptr) return check.fail("device is NULL");
    if (nanoseconds == nullptr) return check.fail("nanoseconds is NULL");
    constexpr double kMost = std::numeric_limits<double>::max();
    if (!(bytes >= 0 && bytes <= kMost)) return check.fail("bytes is {}, it must be finite and at least 0", bytes);
    if (!(operations >= 0 && operations <= kMost)) {
      return check.fail("operations is {}, it must be finite and at least 0", operations);
    }
    *nanoseconds = device->device->least_time({bytes, operations});
    return {};
  });
}

lowbit_status lowbit_profile_write_trace(const lowbit_device* device, const char* path) {
  return boundary([&]() -> Status {
    const Validator check("profile_write_trace");
    if (device == nullptr) return check.fail("device is NULL");
    if (path == nullptr) return check.fail("path is NULL");
    Profiler* profiler = device->device->measured();
    if (profiler == nullptr) return check.fail("the device has no profile: start one before");
    profiler->collect();
    return profiler->write_trace(path, device->device->info().name);
  });
}
