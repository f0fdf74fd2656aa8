// Measuring on Vulkan: its clock, its labels, and a driver that fails or cannot. What all GPUs share is in
// gpu_profiler_test.cpp.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "trace.h"
#include "vulkan/device_clock.h"
#include "vulkan_fixture.h"

namespace lowbit::test {
namespace {

using core::vulkan::DeviceClock;
using core::vulkan::Pretence;
using std::chrono::nanoseconds;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

constexpr int64_t kValues = 1000;

uint64_t launches(const Device& device) {
  uint64_t all = 0;
  for (const lowbit_profile_entry& entry : device.profile()) all += entry.count;
  return all;
}

// ---- The clock ------------------------------------------------------------------------------------------------------

TEST(VulkanClock, TicksBeginAgain) {
  const DeviceClock::Host::time_point start{std::chrono::hours(1)};
  for (uint32_t bits : {8u, 36u, 63u, 64u}) {
    SCOPED_TRACE(bits);
    const uint64_t mask = UINT64_MAX >> (64 - bits);
    DeviceClock clock;
    clock.set_up(bits, 0.5);
    clock.set(mask - 9, start);
    EXPECT_EQ(clock.time_of(mask - 9), start);
    EXPECT_EQ(clock.time_of(mask - 19), start - nanoseconds(5)) << "of another stream, and earlier";
    EXPECT_EQ(clock.time_of(mask & (mask + 11)), start + nanoseconds(10));
    EXPECT_EQ(clock.between(mask - 1, 2), nanoseconds(2));
    EXPECT_EQ(clock.between(10, 100), nanoseconds(45));
  }
  DeviceClock clock;
  clock.set_up(8, 1);
  clock.set(0, start);
  for (int64_t tick = 100; tick <= 1000000; tick += 100) {
    ASSERT_EQ(clock.time_of(static_cast<uint64_t>(tick) & 255), start + nanoseconds(tick));
  }
}

TEST_F(VulkanTest, AQueueWithoutTimestampsIsNotMeasured) {
  const Device without = open(Pretence{.without_timestamps = true});
  const Error error = error_of([&] { without.start_profile(); });
  EXPECT_EQ(error.status(), LOWBIT_UNSUPPORTED);
  EXPECT_THAT(error.what(), HasSubstr("feature_missing: queue family"));
  const Stream stream(without);
  const Mix mix(without, kValues);
  mix.clear(stream);
  mix.run(stream);
  EXPECT_EQ(mix.results(stream), Mix::expected(kValues));
  EXPECT_EQ(launches(without), 0u);
}

// ---- Asking ---------------------------------------------------------------------------------------------------------

TEST_F(VulkanTest, AskingForTheProfileSubmitsNothing) {
  const Mix mix(*device, kValues);
  const Stream stream(*device);
  device->start_profile();
  mix.run(stream, 0);
  EXPECT_EQ(launches(*device), 0u);
  stream.flush();
  stream.synchronize();
  EXPECT_EQ(launches(*device), 1u);
}

// What a query holds before its batch has run is of another.
TEST_F(VulkanTest, OnlyWhatHasRunIsRead) {
  VulkanWatch watch(inside(*device));
  const Mix mix(*device, kValues);
  const Stream stream(*device);
  device->start_profile();
  mix.run(stream, 0);
  stream.synchronize();
  watch.stop_timelines();
  mix.run(stream, 0);
  stream.flush();
  static_cast<core::vulkan::VulkanDevice&>(inside(*device)).wait_idle();
  EXPECT_EQ(launches(*device), 1u);
  VulkanWatch::heal();
  EXPECT_EQ(launches(*device), 2u);
}

// ---- Operations that flush() parts ----------------------------------------------------------------------------------

// A device whose clock ticks whenever it is asked: a piece takes 100 ns, and 100 pass between two.
uint64_t ticks = 0;
VkResult read_ticks(VkDevice, VkQueryPool, uint32_t, uint32_t count, size_t, void* data, VkDeviceSize,
                    VkQueryResultFlags) {
  for (uint32_t i = 0; i < count; ++i) static_cast<uint64_t*>(data)[i] = ticks += 100;
  return VK_SUCCESS;
}
std::vector<int> pieces;  // of each call

TEST_F(VulkanTest, PiecesOfAnOperationAreAddedUp) {
  const Device small = open(Pretence{.limits = {.range = 4096, .groups = 4, .work = 512}, .without_calibration = true});
  auto& functions = static_cast<core::vulkan::VulkanDevice&>(inside(small));
  functions.vk.vkGetQueryPoolResults = &read_ticks;
  functions.labels = {[](VkCommandBuffer, const VkDebugUtilsLabelEXT*) { ++pieces.back(); }, [](VkCommandBuffer) {}};
  const Mix little(small, 1000), mix(small, 160000);
  const Stream stream(small);
  little.clear(stream);
  mix.clear(stream);
  small.start_profile();
  pieces.clear();
  for (const size_t call : {0, 1, 2, 3, 4}) {  // those that launch one kernel
    for (const Mix* of : {&little, &mix}) {
      pieces.push_back(0);
      of->run(stream, call);
    }
  }
  stream.synchronize();
  EXPECT_GE(*std::max_element(pieces.begin(), pieces.end()), 4) << "the mix is too small";

  const std::string path = testing::TempDir() + "lowbit_vulkan_profiler_test.json";
  small.write_trace(path);
  const auto lanes = lanes_of(path, "kernel");
  std::remove(path.c_str());
  ASSERT_EQ(lanes.size(), 1u);
  const std::vector<Bar>& bars = lanes.begin()->second;
  ASSERT_EQ(bars.size(), pieces.size());
  expect_in_order(bars);
  int before = 0;
  for (size_t call = 0; call < bars.size(); ++call) {
    EXPECT_NEAR(bars[call].end - bars[call].begin, 0.1 * pieces[call], 0.002) << call;
    EXPECT_NEAR(bars[call].begin - bars[0].begin, 0.2 * before, 0.002) << call;
    before += pieces[call];
  }
}

// ---- Labels ---------------------------------------------------------------------------------------------------------

std::vector<std::string> labels;

TEST_F(VulkanTest, KernelsAreLabelledWhileTheyAreMeasured) {
  auto& functions = static_cast<core::vulkan::VulkanDevice&>(inside(*device)).labels;
  if (functions.begin == nullptr) GTEST_SKIP() << "the instance has no VK_EXT_debug_utils";
  labels.clear();
  functions.begin = [](VkCommandBuffer, const VkDebugUtilsLabelEXT* label) { labels.push_back(label->pLabelName); };
  functions.end = [](VkCommandBuffer) { labels.push_back("end"); };
  const Mix mix(*device, kValues);
  const Stream stream(*device);
  mix.run(stream, 0);
  EXPECT_THAT(labels, testing::IsEmpty());
  device->start_profile();
  mix.run(stream, 0);
  const std::string first = stream.last_kernel();
  mix.run(stream, 1);
  EXPECT_THAT(labels, ElementsAre(first, "end", stream.last_kernel(), "end"));
  stream.synchronize();
}

// ---- A driver that fails --------------------------------------------------------------------------------------------

TEST_F(VulkanTest, QueriesThatCannotBeHad) {
  for (const bool without_calibration : {false, true}) {
    std::optional<Device> fresh = open(Pretence{.without_calibration = without_calibration});
    const VulkanWatch watch(inside(*fresh));
    if (without_calibration) {
      VulkanWatch::fail("vkCreateQueryPool", VK_ERROR_OUT_OF_HOST_MEMORY);
      EXPECT_EQ(error_of([&] { fresh->start_profile(); }).status(), LOWBIT_OUT_OF_MEMORY);
      EXPECT_EQ(VulkanWatch::heal(), 1);
      EXPECT_EQ(watch.live("vkCreateSemaphore"), 0);
    }
    fresh->start_profile();
    {
      const Mix mix(*fresh, kValues);
      const Stream stream(*fresh);
      mix.clear(stream);
      for (int turn = 0; turn < 100; ++turn) {  // more often than there are queries in a pool
        VulkanWatch::fail("vkCreateQueryPool", VK_ERROR_OUT_OF_HOST_MEMORY);
        EXPECT_EQ(error_of([&] { mix.run(stream, 0); }).status(), LOWBIT_OUT_OF_MEMORY);
        EXPECT_EQ(VulkanWatch::heal(), 1);
      }
      mix.run(stream);
      EXPECT_EQ(mix.results(stream), Mix::expected(kValues));
      EXPECT_GE(launches(*fresh), mix.size());
    }
    fresh.reset();
    EXPECT_THAT(watch.live(), Each(Pair(testing::_, 0)));
  }
}

// Calls that fail once they are begun take queries of their batch all the same.
TEST_F(VulkanTest, CallsThatFailAreNotCounted) {
  std::optional<Device> fresh = open();
  const VulkanWatch watch(inside(*fresh));
  fresh->start_profile();
  {
    const Mix mix(*fresh, kValues);
    const Stream stream(*fresh);
    mix.clear(stream);
    for (int turn = 0; turn < 200; ++turn) {
      VulkanWatch::fail("vkCreateDescriptorPool", VK_ERROR_OUT_OF_HOST_MEMORY);
      EXPECT_EQ(error_of([&] { mix.run(stream, 0); }).status(), LOWBIT_OUT_OF_MEMORY);
      EXPECT_EQ(VulkanWatch::heal(), 1);
    }
    mix.run(stream);
    EXPECT_EQ(mix.results(stream), Mix::expected(kValues));
    const uint64_t all = launches(*fresh);
    EXPECT_GE(all, mix.size());
    EXPECT_LE(all, 2 * mix.size());
  }
  fresh.reset();
  EXPECT_THAT(watch.live(), Each(Pair(testing::_, 0)));
}

TEST_F(VulkanTest, WhatCouldNotBeSubmittedIsNotCounted) {
  std::optional<Device> fresh = open();
  const VulkanWatch watch(inside(*fresh));
  fresh->start_profile();
  {
    const Mix mix(*fresh, kValues);
    std::optional<Stream> stream(std::in_place, *fresh);
    mix.run(*stream, 0);
    stream->flush();
    mix.run(*stream, 1);
    VulkanWatch::fail("vkQueueSubmit", VK_ERROR_OUT_OF_DEVICE_MEMORY);
    EXPECT_EQ(error_of([&] { stream->flush(); }).status(), LOWBIT_OUT_OF_MEMORY);
    EXPECT_EQ(VulkanWatch::heal(), 1);
    stream.reset();
    EXPECT_EQ(launches(*fresh), 1u);
  }
  fresh.reset();
  EXPECT_THAT(watch.live(), Each(Pair(testing::_, 0)));
}

// Neither waiting nor reading goes on for ever, and what was measured before is still there.
TEST_F(VulkanTest, ALostDeviceKeepsWhatWasMeasured) {
  std::optional<Device> fresh = open();
  const VulkanWatch watch(inside(*fresh));
  fresh->start_profile();
  {
    const Mix mix(*fresh, kValues);
    const Stream stream(*fresh);
    mix.run(stream, 0);
    stream.synchronize();
    mix.run(stream, 0);
    VulkanWatch::fail("vkQueueSubmit", VK_ERROR_DEVICE_LOST);
    EXPECT_EQ(error_of([&] { stream.synchronize(); }).status(), LOWBIT_DEVICE_LOST);
    EXPECT_EQ(launches(*fresh), 1u);
    VulkanWatch::heal();
    EXPECT_EQ(error_of([&] {
                fresh->stop_profile();
                fresh->start_profile();
              }).status(),
              LOWBIT_DEVICE_LOST);
  }
  fresh.reset();
  EXPECT_THAT(watch.live(), Each(Pair(testing::_, 0)));
}

}  // namespace
}  // namespace lowbit::test
