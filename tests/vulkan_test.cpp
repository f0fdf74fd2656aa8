// What the Vulkan backend promises beside its results: the ways of naming a device, copies of every kind, memory that
// is freed when its work has run, threads, and that nothing grows.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>
#include <thread>

#include "values.h"
#include "vulkan_fixture.h"

namespace lowbit::test {
namespace {

using core::vulkan::PhysicalDevice;
using core::vulkan::Pretence;
using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;
using testing::StrEq;
using Bytes = std::vector<uint8_t>;

constexpr int64_t kValues = 1000;

const Bytes& expected_of_mix() {
  static const Bytes expected = Mix::expected(kValues);
  return expected;
}

// ---- Which device ---------------------------------------------------------------------------------------------------

class VulkanChoiceTest : public VulkanTest {
 protected:
  void SetUp() override {
    std::string refused;
    const core::Status status = core::vulkan::list_devices(&devices, &refused);
    if (!status.ok()) GTEST_SKIP() << status.sentence();
    for (const PhysicalDevice& listed : devices) {
      if (listed.is_software()) software = &listed;
    }
    if (software == nullptr) GTEST_SKIP() << "no software device";
    name = software->properties.deviceName;
  }
  static std::string opened(const char* named) {
    return Device::open({.backend = "vulkan", .device = named}).info().name;
  }
  static void expect_unknown(const std::function<void()>& body, const std::string& wanted, const std::string& there) {
    const Error error = error_of(body);
    EXPECT_EQ(error.status(), LOWBIT_UNAVAILABLE);
    EXPECT_THAT(error.what(), AllOf(HasSubstr(fmt::format("no_device: there is no Vulkan device '{}'", wanted)),
                                    HasSubstr("software devices go by name"), HasSubstr(there)));
  }

  const ScopedEnvironment no_device{"LOWBIT_VULKAN_DEVICE", nullptr}, no_backend{"LOWBIT_BACKEND", nullptr};
  std::vector<PhysicalDevice> devices;
  const PhysicalDevice* software = nullptr;
  std::string name;
};

TEST_F(VulkanChoiceTest, ByAPartOfTheNameOrTheUuid) {
  std::string upper = name.substr(0, 8), uuid = software->uuid;
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  EXPECT_EQ(opened(name.c_str()), name);
  EXPECT_EQ(opened(name.substr(0, 8).c_str()), name);
  EXPECT_EQ(opened(name.substr(1, 6).c_str()), name);
  EXPECT_EQ(opened(upper.c_str()), name);
  EXPECT_EQ(uuid.size(), 36u);
  EXPECT_EQ(opened(uuid.c_str()), name);
  for (char& c : uuid) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  EXPECT_EQ(opened(uuid.c_str()), name);
}

TEST_F(VulkanChoiceTest, SoftwareHasNoIndex) {
  const std::string index = std::to_string(software->index), there = index + ": " + name;
  expect_unknown([&] { opened(index.c_str()); }, index, there);
  const ScopedEnvironment filled_in("LOWBIT_VULKAN_DEVICE", index.c_str());
  expect_unknown([&] { Device::open({.backend = "vulkan"}); }, index, there);
}

TEST_F(VulkanChoiceTest, DigitsThatAreNoIndexAreAName) {
  const auto first = std::find_if(name.begin(), name.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  const std::string digits(first,
                           std::find_if(first, name.end(), [](unsigned char c) { return std::isdigit(c) == 0; }));
  if (digits.empty() || std::stoul(digits) < devices.size()) GTEST_SKIP() << name << " has no digits to go by";
  EXPECT_EQ(opened(digits.c_str()), name);
}

TEST_F(VulkanChoiceTest, ANameThatIsNone) {
  for (const char* wanted : {"Voodoo 2", "999999999999999999999", "-1", "0x0", " "}) {
    if (name.find(wanted) != std::string::npos) continue;  // " "
    expect_unknown([&] { opened(wanted); }, wanted, name);
  }
}

TEST_F(VulkanChoiceTest, SoftwareIsNotOpenedUnasked) {
  for (const PhysicalDevice& listed : devices) {
    if (!listed.is_software()) GTEST_SKIP() << "there is " << listed.properties.deviceName;
  }
  for (const char* named : {static_cast<const char*>(nullptr), ""}) {
    const Error error = error_of([&] { opened(named); });
    EXPECT_EQ(error.status(), LOWBIT_UNAVAILABLE);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("no_device: Vulkan has only software here"),
                                    HasSubstr("LOWBIT_VULKAN_DEVICE=" + name.substr(0, 8))));
  }
  EXPECT_THAT(Device::open().info().backend, AnyOf(StrEq("cpu"), StrEq("cuda")));
  lowbit_backend_info info{.struct_size = sizeof(info)};
  check(lowbit_backend_get_info(1, &info));
  EXPECT_STREQ(info.name, "vulkan");
  EXPECT_FALSE(info.available);
  EXPECT_THAT(info.reason, HasSubstr("only software"));
}

TEST_F(VulkanChoiceTest, TheEnvironmentFillsIn) {
  const ScopedEnvironment device_of("LOWBIT_VULKAN_DEVICE", name.c_str());
  EXPECT_EQ(opened(nullptr), name);
  expect_unknown([&] { opened("Voodoo 2"); }, "Voodoo 2", name);
  const ScopedEnvironment wrong("LOWBIT_VULKAN_DEVICE", "Voodoo 2");
  EXPECT_EQ(opened(name.c_str()), name);
  expect_unknown([&] { opened(nullptr); }, "Voodoo 2", name);
  EXPECT_THAT(Device::open().info().backend, Not(StrEq("vulkan")));
}

TEST_F(VulkanChoiceTest, TheBackendFromTheEnvironment) {
  const ScopedEnvironment backend("LOWBIT_BACKEND", "vulkan"), device_of("LOWBIT_VULKAN_DEVICE", name.c_str());
  const lowbit_device_info info = Device::open().info();
  EXPECT_STREQ(info.backend, "vulkan");
  EXPECT_EQ(info.name, name);
  EXPECT_THAT(info.isa, HasSubstr("vulkan1."));
  EXPECT_GT(info.memory_size, 0u);
  EXPECT_STREQ(Device::open({.backend = "cpu"}).info().backend, "cpu");
}

TEST_F(VulkanChoiceTest, FeaturesAreMasked) {
  const auto features = [&](uint64_t disabled) {
    return Device::open({.backend = "vulkan", .device = name.c_str(), .disabled_features = disabled}).info().features;
  };
  const uint64_t all = features(0);
  EXPECT_EQ(features(UINT64_MAX), 0u);
  EXPECT_EQ(features(LOWBIT_FEATURE_DOT_INT8), all & ~uint64_t{LOWBIT_FEATURE_DOT_INT8});
}

// ---- Limits ---------------------------------------------------------------------------------------------------------

// MoltenVK says so of the counts of workgroups.
TEST_F(VulkanTest, LimitsThatAreNone) {
  const Device endless = open(Pretence{.limits = {.range = UINT32_MAX, .groups = UINT32_MAX}});
  const Stream stream(endless);
  const Mix mix(endless, kValues);
  mix.clear(stream);
  mix.run(stream);
  EXPECT_EQ(mix.results(stream), expected_of_mix());
}

TEST_F(VulkanTest, NoCommandBufferIsOfItsOwnDevice) {
  int something = 0;
  const Error error = error_of([&] { Stream::wrap(*device, &something); });
  EXPECT_EQ(error.status(), LOWBIT_INVALID_ARGUMENT);
  EXPECT_THAT(error.what(), HasSubstr("it was not opened with options.vulkan"));
}

// ---- Copies ---------------------------------------------------------------------------------------------------------

// Over memory that the host reaches, and over memory that it does not.
class VulkanCopyTest : public VulkanTest, public testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    VulkanTest::SetUp();
    if (device) device.emplace(open(Pretence{.without_host_memory = GetParam()}));
  }
  static Bytes random_bytes(size_t size, uint64_t seed) {
    Random random(seed);
    Bytes bytes(size);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.next());
    return bytes;
  }
};

TEST_P(VulkanCopyTest, LargerThanTheSlots) {
  const Stream stream(*device);
  constexpr size_t kSlot = size_t{4} << 20;
  for (size_t size : {kSlot - 1, kSlot, kSlot + 1, 5 * kSlot + 3}) {
    const Bytes sent = random_bytes(size, size);
    const Buffer buffer(*device, size);
    Bytes got(size);
    stream.upload(buffer, sent);
    stream.download(got, buffer);
    EXPECT_TRUE(got == sent) << size;
  }
}

// A buffer and its image on the host go through the same copies, some of them while the stream is at work.
TEST_P(VulkanCopyTest, AnyOffsetAndSize) {
  const Stream stream(*device);
  const Mix mix(*device, kValues);
  mix.clear(stream);
  constexpr size_t kSize = 10001;
  const Buffer buffer(*device, kSize);
  Bytes image = random_bytes(kSize, 1);
  stream.upload(buffer, image);
  Random random(2);
  std::vector<Bytes> sent;
  for (int turn = 0; turn < 300; ++turn) {
    const auto offset = static_cast<size_t>(random.between(0, kSize - 1));
    const auto size = static_cast<size_t>(random.between(1, static_cast<int64_t>(kSize - offset)));
    if (random.chance(0.5)) mix.run(stream, static_cast<size_t>(turn) % mix.size());
    if (random.chance(0.1)) stream.flush();
    if (random.chance(0.7)) {
      sent.push_back(random_bytes(size, random.next()));
      std::copy(sent.back().begin(), sent.back().end(), image.begin() + static_cast<std::ptrdiff_t>(offset));
      check(lowbit_copy_to_device(stream.get(), buffer.data(), offset, sent.back().data(), size));
    } else {
      Bytes got(size + 2, 0x5a);
      check(lowbit_copy_to_host(stream.get(), got.data() + 1, buffer.data(), offset, size));
      stream.synchronize();
      ASSERT_TRUE(std::equal(got.begin() + 1, got.end() - 1, image.begin() + static_cast<std::ptrdiff_t>(offset)))
          << "turn " << turn;
      ASSERT_TRUE(got.front() == 0x5a && got.back() == 0x5a);
    }
  }
  Bytes got(kSize);
  stream.download(got, buffer);
  EXPECT_TRUE(got == image);
}

// Each call reads what the copy before it brought, and not what the one behind it does.
TEST_P(VulkanCopyTest, TakeTheirPlaceAmongCalls) {
  const Stream stream(*device);
  constexpr int64_t n = 32;
  constexpr int kTurns = 200;
  const Buffer input(*device, n * 4), packed(*device, kTurns * n), scales(*device, kTurns * 4);
  std::vector<std::vector<float>> inputs;
  for (int turn = 0; turn < kTurns; ++turn) {
    inputs.emplace_back(n, 127.0f * static_cast<float>(turn + 1));
    stream.upload(input, inputs.back());
    lowbit_tensor codes = tensor(packed, LOWBIT_TYPE_U8, {n}), scale = tensor(scales, LOWBIT_TYPE_F32, {1});
    codes.offset = static_cast<uint64_t>(turn) * n;
    scale.offset = static_cast<uint64_t>(turn) * 4;
    rho_compress(
        stream,
        {.encoding = LOWBIT_INT8, .input = tensor(input, LOWBIT_TYPE_F32, {n}), .packed = codes, .scales = scale});
  }
  std::vector<float> got(kTurns), expected(kTurns);
  std::iota(expected.begin(), expected.end(), 1.0f);
  stream.download(got, scales);
  EXPECT_EQ(got, expected);
  Bytes bytes(kTurns * n);
  stream.download(bytes, packed);
  EXPECT_EQ(bytes, Bytes(kTurns * n, 127));
}

INSTANTIATE_TEST_SUITE_P(Memory, VulkanCopyTest, testing::Bool(),
                         [](const auto& of) { return of.param ? "staged" : "mapped"; });

// ---- Memory ---------------------------------------------------------------------------------------------------------

TEST_F(VulkanTest, ABufferIsFreedWhenItsWorkHasRun) {
  VulkanWatch watch(inside(*device));
  const Mix mix(*device, kValues);
  const Stream stream(*device);
  for (int turn = 0; turn < 2; ++turn) mix.run(stream);  // the second joins the scratch of the first
  stream.synchronize();
  const int64_t before = watch.live("vkCreateBuffer");
  {
    const Mix released(*device, kValues);
    released.run(stream);
  }
  const int64_t used = watch.live("vkCreateBuffer");
  EXPECT_GT(used, before) << "freed before their work ran";
  stream.synchronize();
  EXPECT_EQ(watch.live("vkCreateBuffer"), before);
  EXPECT_EQ(watch.live("vkAllocateMemory"), before);

  // Submitted and not seen to have run: as good as running.
  {
    const Mix released(*device, kValues);
    released.run(stream);
    stream.flush();
    watch.stop_timelines();
  }
  EXPECT_EQ(watch.live("vkCreateBuffer"), used);
  watch.heal();
  stream.synchronize();
  EXPECT_EQ(watch.live("vkCreateBuffer"), before);

  // Nothing uses it.
  Buffer(*device, 64);
  EXPECT_EQ(watch.live("vkCreateBuffer"), before);
}

TEST_F(VulkanTest, ABufferThatAnotherStreamMayUseStays) {
  VulkanWatch watch(inside(*device));
  const Mix mix(*device, kValues);
  const Stream stream(*device), other(*device);
  mix.run(stream);
  mix.run(other);
  other.synchronize();
  std::optional<Buffer> buffer(std::in_place, *device, 64);
  const int64_t live = watch.live("vkCreateBuffer");
  buffer.reset();
  other.synchronize();
  EXPECT_EQ(watch.live("vkCreateBuffer"), live);
  stream.flush();
  watch.stop_timelines();
  const Buffer anew(*device, 64);
  EXPECT_EQ(watch.live("vkCreateBuffer"), live + 1);
  watch.heal();
  stream.synchronize();
  EXPECT_EQ(watch.live("vkCreateBuffer"), live);
}

TEST_F(VulkanTest, HandlesMayOutliveTheirDevice) {
  const VulkanWatch watch(inside(*device));
  std::optional<Stream> stream(std::in_place, *device);
  std::optional<Mix> mix(std::in_place, *device, kValues);
  mix->clear(*stream);
  mix->run(*stream);
  device.reset();
  EXPECT_EQ(mix->results(*stream), expected_of_mix());
  mix->run(*stream);
  mix.reset();
  EXPECT_GT(watch.live("vkCreateBuffer"), 0);
  stream.reset();
  for (const auto& [maker, live] : watch.live()) EXPECT_EQ(live, 0) << maker;
}

TEST_F(VulkanTest, ARepeatedCallMakesNothing) {
  const VulkanWatch watch(inside(*device));
  const Mix mix(*device, kValues);
  const Stream stream(*device);
  const auto turn = [&] {
    mix.clear(stream);
    for (int call = 0; call < 100; ++call) mix.run(stream);
    stream.synchronize();
  };
  turn();
  turn();
  const int64_t made = watch.made();
  turn();
  EXPECT_EQ(watch.made(), made);
  EXPECT_EQ(mix.results(stream), expected_of_mix());
}

// ---- Threads --------------------------------------------------------------------------------------------------------

constexpr int kThreads = 4;

void in_threads(const std::function<Bytes()>& body) {
  std::vector<Bytes> results(kThreads);
  std::vector<std::thread> threads;
  for (Bytes& result : results) threads.emplace_back([&] { result = body(); });
  for (std::thread& thread : threads) thread.join();
  for (const Bytes& result : results) EXPECT_TRUE(result == expected_of_mix());
}

Bytes work(const Device& device) {
  const Stream stream(device);
  const Mix mix(device, kValues);
  mix.clear(stream);
  for (int turn = 0; turn < 30; ++turn) {
    mix.run(stream);
    const Mix passing(device, 100);
    passing.run(stream);
    if (turn % 7 == 0) stream.synchronize();
  }
  return mix.results(stream);
}

TEST_F(VulkanTest, ThreadsWithStreamsOfTheirOwn) {
  in_threads([&] { return work(*device); });
}

TEST_F(VulkanTest, ThreadsWithDevicesOfTheirOwn) {
  device.reset();
  in_threads([] { return work(open()); });
}

// ---- What must not grow ---------------------------------------------------------------------------------------------

int open_files() {
  const std::filesystem::directory_iterator files("/proc/self/fd"), end;
  return static_cast<int>(std::distance(files, end));
}

int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  int64_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

// Streams that work by turns; buffers come and go while what uses them is enqueued.
TEST_F(VulkanTest, TenThousandCalls) {
  constexpr int kRounds = 5, kCalls = 2000;
  const VulkanWatch watch(inside(*device));
  std::vector<Stream> streams;
  std::vector<std::unique_ptr<Mix>> mixes;
  for (int i = 0; i < 4; ++i) {
    streams.emplace_back(*device);
    mixes.push_back(std::make_unique<Mix>(*device, kValues));
    mixes.back()->clear(streams.back());
  }
  Random random(1);
  const std::vector<float> values(320, 1.0f);
  std::map<std::string, int64_t> live;
  int files = 0;
  int64_t resident = 0;
  for (int round = 0; round < kRounds; ++round) {
    for (int call = 0; call < kCalls; ++call) {
      const auto i = static_cast<size_t>(random.between(0, 3));
      const Stream& stream = streams[i];
      mixes[i]->run(stream, static_cast<size_t>(random.between(0, static_cast<int64_t>(mixes[i]->size()) - 1)));
      if (random.chance(0.1)) {
        const Buffer input(*device, 320 * 4), packed(*device, 320), scales(*device, 10 * 4);
        stream.upload(input, values);
        rho_compress(stream, {.encoding = LOWBIT_INT8,
                              .input = tensor(input, LOWBIT_TYPE_F32, {320}),
                              .packed = tensor(packed, LOWBIT_TYPE_U8, {320}),
                              .scales = tensor(scales, LOWBIT_TYPE_F32, {10})});
      }
      if (random.chance(0.01)) stream.flush();
      if (random.chance(0.01)) stream.synchronize();
      if (random.chance(0.001)) streams[i] = Stream(*device);
      if (random.chance(0.002)) {
        mixes[i]->run(streams[i]);
        ASSERT_EQ(mixes[i]->results(streams[i]), expected_of_mix());
      }
    }
    for (size_t i = 0; i < streams.size(); ++i) {  // fresh ones, or what they keep would depend on luck
      streams[i] = Stream(*device);
      mixes[i]->run(streams[i]);
      streams[i].synchronize();
    }
    if (round == 1) live = watch.live(), files = open_files(), resident = resident_bytes();
  }
  EXPECT_EQ(watch.live(), live);
  EXPECT_EQ(open_files(), files);
  const int64_t margin = int64_t{LOWBIT_SANITIZED ? 300 : 8} << 20;  // sanitizers keep what was freed
  EXPECT_LT(resident_bytes(), resident + margin);
}

}  // namespace
}  // namespace lowbit::test
