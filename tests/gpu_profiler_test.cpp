// The profiler of devices whose work runs later than its calls: what their own clocks say, and that measuring changes,
// loses and keeps nothing else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "fake_device.h"
#include "mix.h"
#include "targets.h"
#include "trace.h"

#if LOWBIT_HAVE_VULKAN
#include "vulkan/open_device.h"
#endif

namespace lowbit::test {
namespace {

using Clock = std::chrono::steady_clock;
using Counts = std::map<std::string, uint64_t>;

constexpr int64_t kValues = 1000;

struct Gpu {
  std::string name;
  std::function<std::optional<Device>(std::string* absent)> open;
};
void PrintTo(const Gpu& gpu, std::ostream* out) { *out << gpu.name; }

std::vector<Gpu> gpus() {
  std::vector<Gpu> found;
  for (const Target& target : targets()) {
    const std::string backend = target.backend;
    if (backend != "cuda" && backend != "vulkan") continue;
    found.push_back({target.name, [target](std::string* absent) { return open(target, absent); }});
#if LOWBIT_HAVE_VULKAN
    const auto add = [&](const char* name, const core::vulkan::Pretence& pretence) {
      found.push_back({name, [target, pretence](std::string* absent) {
                         std::optional<Device> device = open(target, absent);
                         if (!device) return device;
                         std::shared_ptr<core::Device> other;
                         const core::Status status = core::vulkan::open_device({.guard = LOWBIT_GUARD_OFF},
                                                                               core::kernel_table(), pretence, &other);
                         if (!status.ok()) throw std::runtime_error(status.sentence());
                         device->get()->device = other;
                         return device;
                       }});
    };
    if (backend == "vulkan") {
      add("vulkan_uncalibrated", {.without_calibration = true});
      // Operations of more dispatches than a command buffer takes.
      add("vulkan_small", {.limits = {.range = 4096, .groups = 4, .work = 512}});
    }
#endif
  }
  return found;
}

class GpuProfilerTest : public testing::TestWithParam<Gpu> {
 protected:
  void SetUp() override {
    std::string absent;
    device = GetParam().open(&absent);
    if (!device) GTEST_SKIP() << absent;
    mix.emplace(*device, kValues);
    stream.emplace(*device);
    mix->clear(*stream);
    stream->synchronize();
  }
  void TearDown() override {
    std::remove(path.c_str());
    mix.reset();
    stream.reset();
  }

  // Runs the mix and adds its launches to `counts`: a projection of codes has a quantisation before it.
  void run(const Stream& on, Counts* counts) const {
    for (size_t call = 0; call < mix->size(); ++call) {
      mix->run(on, call);
      const std::string kernel = on.last_kernel();
      ++(*counts)[kernel];
      if (kernel.starts_with("lowrank_projection_a8")) ++quantized_;
    }
    for (auto& [kernel, count] : *counts) {
      if (kernel.starts_with("quantize_pack")) count += std::exchange(quantized_, 0);
    }
  }
  Counts counted() const {
    Counts counts;
    for (const lowbit_profile_entry& entry : device->profile()) counts[entry.kernel] = entry.count;
    return counts;
  }

  std::map<int, std::vector<Bar>> lanes(const std::string& category) const {
    device->write_trace(path);
    return lanes_of(path, category);
  }

  std::optional<Device> device;
  std::optional<Mix> mix;
  std::optional<Stream> stream;
  const std::string path = testing::TempDir() + "lowbit_gpu_profiler_test.json";

 private:
  mutable uint64_t quantized_ = 0;
};

TEST_P(GpuProfilerTest, CountsAndTimesTheCallsThatWereMade) {
  Counts ignored, expected;
  run(*stream, &ignored);
  EXPECT_TRUE(device->profile().empty());
  device->start_profile();
  stream->synchronize();
  const auto start = Clock::now();
  for (int turn = 0; turn < 3; ++turn) run(*stream, &expected);
  stream->synchronize();
  const std::chrono::duration<double, std::nano> wall = Clock::now() - start;
  EXPECT_EQ(counted(), expected);
  double total = 0;
  for (const lowbit_profile_entry& entry : device->profile()) {
    EXPECT_GT(entry.total, 0) << entry.kernel;
    EXPECT_GT(entry.bytes, 0) << entry.kernel;
    EXPECT_LE(static_cast<double>(entry.count) * entry.minimum, entry.total * 1.000001) << entry.kernel;
    total += entry.total;
  }
  EXPECT_LE(total, wall.count());

  device->stop_profile();
  run(*stream, &ignored);
  stream->synchronize();
  EXPECT_EQ(counted(), expected);
  device->start_profile();
  run(*stream, &expected);
  stream->synchronize();
  EXPECT_EQ(counted(), expected);
}

TEST_P(GpuProfilerTest, ResultsAreTheSameBits) {
  device->start_profile();
  mix->run(*stream);
  EXPECT_EQ(mix->results(*stream), Mix::expected(kValues));
}

TEST_P(GpuProfilerTest, LanesAreInOrderAndBehindTheirCalls) {
  device->start_profile();
  const Stream second(*device);
  Counts counts;
  for (int turn = 0; turn < 3; ++turn) {
    run(*stream, &counts);
    run(second, &counts);
    if (turn == 1) stream->synchronize();
  }
  stream->synchronize();
  second.synchronize();
  const auto kernels = lanes("kernel"), calls = lanes("call");
  ASSERT_EQ(kernels.size(), 2u);
  ASSERT_EQ(calls.size(), 2u);
  auto launched = calls.begin();
  for (const auto& [lane, bars] : kernels) {
    SCOPED_TRACE(lane);
    const auto& [call_lane, call_bars] = *launched++;
    EXPECT_NE(lane, call_lane);
    expect_in_order(bars);
    expect_in_order(call_bars);
    ASSERT_EQ(bars.size(), call_bars.size());
    for (size_t i = 0; i < bars.size(); ++i) {
      EXPECT_EQ(bars[i].kernel, call_bars[i].kernel);
      EXPECT_GE(bars[i].begin, call_bars[i].begin) << "it ran before it was called";
    }
  }
}

TEST_P(GpuProfilerTest, ResetForgetsWhatHasNotRunYet) {
  Counts forgotten, expected;
  device->start_profile();
  run(*stream, &forgotten);
  device->reset_profile();
  stream->synchronize();
  EXPECT_EQ(counted(), Counts());
  run(*stream, &expected);
  stream->synchronize();
  EXPECT_EQ(counted(), expected);
}

TEST_P(GpuProfilerTest, WhatRunsAfterItsEndIsStillCounted) {
  Counts expected;
  device->start_profile();
  run(*stream, &expected);
  device->stop_profile();
  stream->synchronize();
  EXPECT_EQ(counted(), expected);
}

TEST_P(GpuProfilerTest, AStreamThatGoesLosesNothing) {
  Counts expected;
  device->start_profile();
  {
    const Stream going(*device);
    for (int turn = 0; turn < 5; ++turn) run(going, &expected);
  }
  EXPECT_EQ(counted(), expected);
  EXPECT_EQ(lanes("kernel").size(), 1u);
}

TEST_P(GpuProfilerTest, ThreadsShareIt) {
  constexpr int kThreads = 2, kTurns = 10;
  device->start_profile();
  Counts expected;
  run(*stream, &expected);
  std::atomic<int> at_work = kThreads;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      {
        const Mix own(*device, kValues);  // streams may not share outputs
        const Stream on(*device);
        for (int turn = 0; turn < kTurns; ++turn) {
          own.run(on);
          if (turn % (i + 2) == 0) on.synchronize();
        }
      }
      --at_work;
    });
  }
  while (at_work > 0) {
    for (const auto& [kernel, count] : counted()) {
      EXPECT_LE(count, expected[kernel] * (1 + kThreads * kTurns)) << kernel;
    }
  }
  for (std::thread& thread : threads) thread.join();
  stream->synchronize();
  for (auto& [kernel, count] : expected) count *= 1 + kThreads * kTurns;
  EXPECT_EQ(counted(), expected);
}

INSTANTIATE_TEST_SUITE_P(Gpus, GpuProfilerTest, testing::ValuesIn(gpus()),
                         [](const auto& of) { return of.param.name; });

}  // namespace
}  // namespace lowbit::test
