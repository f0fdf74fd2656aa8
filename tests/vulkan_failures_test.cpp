// A Vulkan driver that fails: what the caller is told, and that nothing leaks, breaks or is forgotten.
#include <fmt/format.h>

#include "host_calls.h"
#include "values.h"
#include "vulkan_fixture.h"

namespace lowbit::test {
namespace {

using core::vulkan::Pretence;
using testing::AllOf;
using testing::Each;
using testing::HasSubstr;
using testing::Pair;
using Bytes = std::vector<uint8_t>;

constexpr int64_t kValues = 1000;
constexpr uint64_t kHuge[] = {uint64_t{1} << 40, uint64_t{1} << 50, UINT64_MAX / 2, UINT64_MAX - 15, UINT64_MAX};

// Everything that asks the driver for something: a stream, buffers, copies to a stream at rest and to one at work, an
// operation that cannot refuse data and one that can. `host` is written last.
void round_trip(const Device& device, Bytes& host) {
  const std::vector<float> values = make_values(Values::mixed, kValues / 8, 8, 127, 1);
  const auto size = lowbit_rho_packed_size(LOWBIT_TERNARY, kValues), blocks = lowbit_rho_block_count(kValues);
  const Stream stream(device);
  const Buffer input(device, kValues * 4), packed(device, size), scales(device, blocks * 4),
      output(device, kValues * 4);
  stream.upload(input, values);
  const lowbit_rho_compress_args compress{.encoding = LOWBIT_TERNARY,
                                          .input = tensor(input, LOWBIT_TYPE_F32, {kValues}),
                                          .packed = tensor(packed, LOWBIT_TYPE_U8, {static_cast<int64_t>(size)}),
                                          .scales = tensor(scales, LOWBIT_TYPE_F32, {static_cast<int64_t>(blocks)})};
  rho_compress(stream, compress);
  stream.upload(input, values);
  rho_compress(stream, compress);
  rho_expand(stream, {.encoding = LOWBIT_TERNARY,
                      .packed = compress.packed,
                      .scales = compress.scales,
                      .output = tensor(output, LOWBIT_TYPE_F32, {kValues})});
  stream.synchronize();
  stream.download(host, output);
}

const Bytes kUntouched(kValues * 4, 0x5a);

Bytes expected_of_round_trip() {
  Bytes expected = kUntouched;
  round_trip(Device::open({.backend = "reference"}), expected);
  return expected;
}

// Of a stream and a mix on a device that is watched.
class VulkanFailureTest : public VulkanTest {
 protected:
  void SetUp() override {
    VulkanTest::SetUp();
    if (!device) return;
    watch.emplace(inside(*device));
    stream.emplace(*device);
    mix.emplace(*device, kValues);
    mix->clear(*stream);
  }
  void TearDown() override {
    mix.reset();
    stream.reset();
  }
  // Every call is refused for the device's sake, on this stream and on others.
  void expect_lost(const Stream& other) {
    Bytes host = kUntouched;
    const std::function<void()> calls[] = {
        [&] { stream->synchronize(); },
        [&] { stream->flush(); },
        [&] { mix->run(*stream); },
        [&] { stream->upload(*buffer, host); },
        [&] { stream->download(host, *buffer); },
        [&] { other.synchronize(); },
        [&] { other.flush(); },
        [&] { mix->run(other); },
        [&] { other.upload(*buffer, host); },
        [&] { other.download(host, *buffer); },
        [&] { Stream{*device}; },
        [&] { Buffer(*device, 64); },
        [&] { check(lowbit_stream_reserve_scratch(stream->get(), 1 << 20)); },
    };
    for (size_t i = 0; i < std::size(calls); ++i) {
      const Error error = error_of(calls[i]);
      EXPECT_EQ(error.status(), LOWBIT_DEVICE_LOST) << "call " << i;
      EXPECT_EQ(error.native_code(), VK_ERROR_DEVICE_LOST) << "call " << i;
      EXPECT_THAT(error.what(), HasSubstr("VK_ERROR_DEVICE_LOST")) << "call " << i;
    }
    EXPECT_EQ(host, kUntouched);
  }

  std::optional<VulkanWatch> watch;
  std::optional<Stream> stream;
  std::optional<Mix> mix;
  std::optional<Buffer> buffer;
};

// ---- Memory and objects that cannot be had --------------------------------------------------------------------------

struct Injected {
  const char* function;
  VkResult result;
  lowbit_status status = LOWBIT_OUT_OF_MEMORY;
};
constexpr Injected kInjected[] = {
    {"vkCreateBuffer", VK_ERROR_OUT_OF_DEVICE_MEMORY},
    {"vkAllocateMemory", VK_ERROR_OUT_OF_DEVICE_MEMORY},
    {"vkAllocateMemory", VK_ERROR_TOO_MANY_OBJECTS},
    {"vkBindBufferMemory", VK_ERROR_OUT_OF_HOST_MEMORY},
    {"vkMapMemory", VK_ERROR_MEMORY_MAP_FAILED, LOWBIT_DRIVER_ERROR},
    {"vkMapMemory", VK_ERROR_OUT_OF_HOST_MEMORY},
    {"vkCreateSemaphore", VK_ERROR_OUT_OF_HOST_MEMORY},
    {"vkCreateCommandPool", VK_ERROR_OUT_OF_DEVICE_MEMORY},
    {"vkAllocateCommandBuffers", VK_ERROR_OUT_OF_HOST_MEMORY},
    {"vkBeginCommandBuffer", VK_ERROR_OUT_OF_DEVICE_MEMORY},
    {"vkEndCommandBuffer", VK_ERROR_OUT_OF_DEVICE_MEMORY},
    {"vkQueueSubmit", VK_ERROR_OUT_OF_HOST_MEMORY},
    {"vkCreateDescriptorPool", VK_ERROR_OUT_OF_DEVICE_MEMORY},
    {"vkCreateDescriptorPool", VK_ERROR_FRAGMENTATION, LOWBIT_DRIVER_ERROR},
    {"vkAllocateDescriptorSets", VK_ERROR_OUT_OF_POOL_MEMORY},
    {"vkAllocateDescriptorSets", VK_ERROR_FRAGMENTED_POOL, LOWBIT_DRIVER_ERROR},
    {"vkCreateShaderModule", VK_ERROR_OUT_OF_HOST_MEMORY},
    {"vkCreateComputePipelines", VK_ERROR_OUT_OF_DEVICE_MEMORY},
    {"vkCreateComputePipelines", VK_ERROR_UNKNOWN, LOWBIT_DRIVER_ERROR},
};
void PrintTo(const Injected& injected, std::ostream* out) { *out << injected.function << ' ' << injected.result; }

class VulkanInjectionTest : public VulkanTest, public testing::WithParamInterface<std::tuple<Injected, bool>> {};

// Every call of the function in turn, on a device of its own each: what is made once is made again.
TEST_P(VulkanInjectionTest, EveryCallMayFail) {
  const auto& [injected, without_host_memory] = GetParam();
  const Bytes expected = expected_of_round_trip();
  for (int call = 1;; ++call) {
    SCOPED_TRACE(fmt::format("call {} of {}", call, injected.function));
    std::optional<Device> fresh = open(Pretence{.without_host_memory = without_host_memory});
    const VulkanWatch watch(inside(*fresh));
    const auto before = watch.live();
    VulkanWatch::fail(injected.function, injected.result, call, 2);  // buffers are tried for twice
    Bytes host = kUntouched;
    bool passed = false;
    try {
      round_trip(*fresh, host);
      passed = true;
    } catch (const Error& error) {
      EXPECT_EQ(error.status(), injected.status) << error.what();
      EXPECT_EQ(error.native_code(), injected.result) << error.what();
      EXPECT_EQ(host, kUntouched) << error.what();
    }
    const bool failed = VulkanWatch::heal() != 0;
    ASSERT_NE(passed, failed);
    if (passed) {
      EXPECT_EQ(host, expected);
      EXPECT_GT(call, 1) << "it was never called";
      break;
    }
    auto after = watch.live();
    after.erase("vkCreateComputePipelines");  // the device keeps them
    for (const auto& [maker, live] : after) EXPECT_EQ(live, before.contains(maker) ? before.at(maker) : 0) << maker;
    round_trip(*fresh, host);
    EXPECT_EQ(host, expected) << "the device does not go on";
    fresh.reset();
    EXPECT_THAT(watch.live(), Each(Pair(testing::_, 0)));
  }
}

std::string name_of(const testing::TestParamInfo<std::tuple<Injected, bool>>& of) {
  const auto& [injected, without_host_memory] = of.param;
  return fmt::format("{}_{}_{}", injected.function, -static_cast<int>(injected.result),
                     without_host_memory ? "staged" : "mapped");
}
INSTANTIATE_TEST_SUITE_P(Drivers, VulkanInjectionTest, testing::Combine(testing::ValuesIn(kInjected), testing::Bool()),
                         name_of);

// What was released and has not been freed yet may be all that is missing.
TEST_F(VulkanFailureTest, ABufferIsTriedForTwice) {
  for (const char* function : {"vkCreateBuffer", "vkAllocateMemory", "vkMapMemory"}) {
    VulkanWatch::fail(function, VK_ERROR_OUT_OF_DEVICE_MEMORY);
    Buffer(*device, 64);
    EXPECT_EQ(VulkanWatch::heal(), 1) << function;
  }
}

TEST_F(VulkanFailureTest, ABufferThatNoDeviceHas) {
  for (uint64_t size : kHuge) {
    SCOPED_TRACE(size);
    const Error error = error_of([&] { Buffer(*device, size); });
    EXPECT_EQ(error.status(), LOWBIT_OUT_OF_MEMORY) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(fmt::format("{} bytes of device memory", size)));
  }
  mix->run(*stream);
  EXPECT_EQ(mix->results(*stream), Mix::expected(kValues));
}

// What was recorded is gone with it, so the stream is done for; the device is not.
TEST_F(VulkanFailureTest, ASubmissionThatFailsEndsItsStream) {
  for (int turn = 0; turn < 2; ++turn) mix->run(*stream);  // the second joins the scratch of the first
  stream->synchronize();
  const auto before = watch->live();
  {
    const Stream failing(*device);
    buffer.emplace(*device, 64);
    mix->run(failing);
    buffer.reset();  // for all lowbit knows, what was recorded reads it
    VulkanWatch::fail("vkQueueSubmit", VK_ERROR_OUT_OF_DEVICE_MEMORY);
    for (int turn = 0; turn < 2; ++turn) {
      const Error error = error_of([&] { failing.synchronize(); });
      EXPECT_EQ(error.status(), LOWBIT_OUT_OF_MEMORY);
      EXPECT_EQ(error.native_code(), VK_ERROR_OUT_OF_DEVICE_MEMORY);
    }
    EXPECT_EQ(error_of([&] { mix->run(failing); }).status(), LOWBIT_OUT_OF_MEMORY);
    EXPECT_EQ(VulkanWatch::heal(), 1);
  }
  mix->run(*stream);
  EXPECT_EQ(mix->results(*stream), Mix::expected(kValues));
  for (const char* maker : {"vkCreateBuffer", "vkAllocateMemory", "vkCreateSemaphore", "vkCreateCommandPool"}) {
    EXPECT_EQ(watch->live(maker), before.at(maker)) << maker;
  }
}

// Work that was submitted before may still run when the stream is destroyed.
TEST_F(VulkanFailureTest, AStreamThatFailedWaitsForItsWork) {
  std::optional<Stream> failing(std::in_place, *device);
  mix->run(*failing);
  failing->flush();
  mix->run(*failing);
  VulkanWatch::fail("vkQueueSubmit", VK_ERROR_OUT_OF_HOST_MEMORY);
  EXPECT_EQ(error_of([&] { failing->flush(); }).status(), LOWBIT_OUT_OF_MEMORY);
  watch->stop_timelines();
  VulkanWatch::fail("vkWaitSemaphores", VK_TIMEOUT);
  stream->synchronize();
  failing.reset();
  EXPECT_EQ(VulkanWatch::heal(), 1) << "it did not wait";
}

// ---- Falling back ---------------------------------------------------------------------------------------------------

class VulkanFallbackTest : public VulkanTest {
 protected:
  void SetUp() override {
    VulkanTest::SetUp();
    if (!device) return;
    device.emplace(Device::open({.backend = "vulkan", .allow_fallback = 1, .guard = LOWBIT_GUARD_OFF}));
    watch.emplace(inside(*device));
  }
  static std::vector<lowbit_fallback_reason> expect_right(const HostCalls& calls, const Stream& stream) {
    std::vector<lowbit_fallback_reason> reasons;
    EXPECT_EQ(calls.run(stream, &reasons), HostCalls::expected());
    return reasons;
  }
  std::optional<VulkanWatch> watch;
};

TEST_F(VulkanFallbackTest, ALostDevice) {
  for (const char* function : {"vkQueueSubmit", "vkWaitSemaphores"}) {
    device.emplace(Device::open({.backend = "vulkan", .allow_fallback = 1, .guard = LOWBIT_GUARD_OFF}));
    watch.reset();
    watch.emplace(inside(*device));
    const HostCalls calls(*device);
    const Stream stream = Stream::on_host_memory(*device), own(*device);
    EXPECT_THAT(expect_right(calls, stream), Each(LOWBIT_FALLBACK_NONE));
    watch->stop_timelines();
    VulkanWatch::fail(function, VK_ERROR_DEVICE_LOST);
    EXPECT_THAT(expect_right(calls, stream), Each(LOWBIT_FALLBACK_DEVICE_LOST)) << function;
    EXPECT_EQ(VulkanWatch::heal(), 1);
    EXPECT_THAT(stream.last_kernel(), HasSubstr("_cpu"));
    EXPECT_THAT(stream.fallback().detail, HasSubstr("VK_ERROR_DEVICE_LOST"));
    // Buffers of the device are read by nobody else.
    EXPECT_EQ(error_of([&] { calls.run(own); }).status(), LOWBIT_DEVICE_LOST);
  }
}

TEST_F(VulkanFallbackTest, NoMemory) {
  const Stream stream = Stream::on_host_memory(*device);
  VulkanWatch::fail("vkAllocateMemory", VK_ERROR_OUT_OF_DEVICE_MEMORY, 1, 2);  // buffers are tried for twice
  const HostCalls calls(*device);                                              // the first of two weights fails
  EXPECT_EQ(VulkanWatch::heal(), 2);
  VulkanWatch::fail("vkAllocateMemory", VK_ERROR_OUT_OF_DEVICE_MEMORY, 1, 2);
  const auto reasons = expect_right(calls, stream);
  EXPECT_EQ(VulkanWatch::heal(), 2);
  const auto first = {reasons[0], reasons[1], reasons[2]};  // operands of the first call, the weight of the others
  EXPECT_THAT(first, Each(LOWBIT_FALLBACK_OUT_OF_MEMORY));
  EXPECT_EQ(std::count(reasons.begin(), reasons.end(), LOWBIT_FALLBACK_NONE), std::ssize(reasons) - 3);
}

TEST_F(VulkanFallbackTest, OnlyWhereItIsAllowed) {
  const Device strict = open();
  watch.reset();
  watch.emplace(inside(strict));
  const HostCalls calls(strict);
  const Stream stream = Stream::on_host_memory(strict);
  VulkanWatch::fail("vkAllocateMemory", VK_ERROR_OUT_OF_DEVICE_MEMORY, 1, 2);
  EXPECT_EQ(error_of([&] { calls.run(stream); }).status(), LOWBIT_OUT_OF_MEMORY);
  VulkanWatch::heal();
  VulkanWatch::fail("vkQueueSubmit", VK_ERROR_DEVICE_LOST);
  EXPECT_EQ(error_of([&] { calls.run(stream); }).status(), LOWBIT_DEVICE_LOST);
  VulkanWatch::heal();
}

// ---- A lost device, and a slow one ----------------------------------------------------------------------------------

class VulkanLossTest : public VulkanFailureTest, public testing::WithParamInterface<const char*> {};

TEST_P(VulkanLossTest, ALossStays) {
  const Stream other(*device);
  buffer.emplace(*device, kUntouched.size());
  mix->run(*stream);
  watch->stop_timelines();
  VulkanWatch::fail(GetParam(), VK_ERROR_DEVICE_LOST);
  Bytes host = kUntouched;
  const Error error = error_of([&] { stream->download(host, *buffer); });
  EXPECT_EQ(error.status(), LOWBIT_DEVICE_LOST);
  EXPECT_EQ(error.native_code(), VK_ERROR_DEVICE_LOST);
  EXPECT_THAT(error.what(), HasSubstr("VK_ERROR_DEVICE_LOST"));
  EXPECT_EQ(host, kUntouched);
  EXPECT_EQ(VulkanWatch::heal(), 1);
  expect_lost(other);
  buffer.reset();
}

// No later call goes into the command buffer that was in progress.
TEST_F(VulkanFailureTest, ALossWhileRecording) {
  const Stream other(*device);
  buffer.emplace(*device, kUntouched.size());
  VulkanWatch::fail("vkCreateDescriptorPool", VK_ERROR_DEVICE_LOST);
  EXPECT_EQ(error_of([&] { mix->run(*stream); }).status(), LOWBIT_DEVICE_LOST);
  EXPECT_EQ(VulkanWatch::heal(), 1);
  EXPECT_EQ(error_of([&] { mix->run(*stream); }).status(), LOWBIT_DEVICE_LOST);
  expect_lost(other);
}

// Another stream has work recorded, and handles outlive the device's.
TEST_P(VulkanLossTest, HandlesOfALostDeviceAreClosed) {
  std::optional<Stream> other(std::in_place, *device);
  buffer.emplace(*device, 64);
  mix->run(*other);
  mix->run(*stream);
  watch->stop_timelines();
  VulkanWatch::fail(GetParam(), VK_ERROR_DEVICE_LOST, 1, 1000);
  EXPECT_EQ(error_of([&] { stream->synchronize(); }).status(), LOWBIT_DEVICE_LOST);
  EXPECT_EQ(error_of([&] { other->synchronize(); }).status(), LOWBIT_DEVICE_LOST);
  device.reset();
  buffer.reset();
  stream.reset();
  other.reset();
  mix.reset();
  VulkanWatch::heal();
  EXPECT_THAT(watch->live(), Each(Pair(testing::_, 0)));
}

INSTANTIATE_TEST_SUITE_P(Functions, VulkanLossTest,
                         testing::Values("vkQueueSubmit", "vkWaitSemaphores", "vkEndCommandBuffer",
                                         "vkGetSemaphoreCounterValue"),
                         [](const auto& of) { return std::string(of.param); });

TEST_F(VulkanFailureTest, ATimeoutIsNoEnd) {
  mix->run(*stream);
  watch->stop_timelines();
  VulkanWatch::fail("vkWaitSemaphores", VK_TIMEOUT, 1, 2);
  for (int turn = 0; turn < 2; ++turn) {
    const Error error = error_of([&] { stream->synchronize(); });
    EXPECT_EQ(error.status(), LOWBIT_DRIVER_ERROR);
    EXPECT_EQ(error.native_code(), VK_TIMEOUT);
    EXPECT_THAT(error.what(), HasSubstr("VK_TIMEOUT"));
  }
  EXPECT_EQ(VulkanWatch::heal(), 2);
  stream->synchronize();
  EXPECT_EQ(mix->results(*stream), Mix::expected(kValues));
}

// A query that fails is not an answer: the host would read what is not there yet, and free what is in use.
TEST_F(VulkanFailureTest, ATimelineThatCannotBeAsked) {
  mix->run(*stream);
  stream->flush();
  watch->stop_timelines();
  VulkanWatch::fail("vkGetSemaphoreCounterValue", VK_ERROR_OUT_OF_HOST_MEMORY, 1, 1000);
  const int64_t live = watch->live("vkCreateBuffer");
  buffer.emplace(*device, 64);
  buffer.reset();
  EXPECT_EQ(watch->live("vkCreateBuffer"), live + 1);
  VulkanWatch::fail("vkGetSemaphoreCounterValue", VK_ERROR_OUT_OF_HOST_MEMORY, 1, 1000);
  stream->synchronize();  // waits, and is told
  EXPECT_GT(VulkanWatch::heal(), 0);
  EXPECT_EQ(mix->results(*stream), Mix::expected(kValues));
}

// Host data that waits in a slot is not overwritten after a timeout.
TEST_F(VulkanFailureTest, ASlotOfASlowStreamIsNotTaken) {
  const Device staged = open(Pretence{.without_host_memory = true});
  watch.emplace(inside(staged));
  const Stream slow(staged);
  const Bytes large(size_t{12} << 20, 1), little(16, 2);
  const Buffer to(staged, large.size()), other(staged, 16);
  watch->stop_timelines();
  VulkanWatch::fail("vkWaitSemaphores", VK_TIMEOUT, 1, 1000);
  EXPECT_EQ(error_of([&] { slow.upload(to, large); }).status(), LOWBIT_DRIVER_ERROR);
  EXPECT_EQ(error_of([&] { slow.upload(other, little); }).native_code(), VK_TIMEOUT);
  EXPECT_EQ(VulkanWatch::heal(), 2);
  slow.upload(to, large);
  slow.upload(other, little);
  Bytes got(large.size());
  slow.download(got, to);
  EXPECT_EQ(got, large);
}

}  // namespace
}  // namespace lowbit::test
