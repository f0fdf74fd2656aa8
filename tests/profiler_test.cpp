// The profiler: what it counts, its quantiles, its trace, and that it leaves out what it should.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "api.h"
#include "fake_device.h"
#include "profiler.h"
#include "values.h"

namespace lowbit::test {
namespace {

using nlohmann::json;

class ProfilerTest : public ApiTest {
 protected:
  // One launch of quantize_pack and one of rho_compress, of 40 and of 64 values.
  void run(lowbit_stream* on) const {
    std::vector<float> values(64, 0.5f), scales(2);
    std::vector<uint32_t> codes(10);
    std::vector<uint8_t> packed(64);
    const lowbit_quantize_pack_args quantize{sizeof(quantize),
                                             LOWBIT_INT8,
                                             LOWBIT_ABSMAX,
                                             LOWBIT_PER_TENSOR,
                                             tensor(LOWBIT_TYPE_F32, values.data(), {40}),
                                             tensor(LOWBIT_TYPE_I32, codes.data(), {10}),
                                             tensor(LOWBIT_TYPE_F32, scales.data(), {1})};
    ASSERT_EQ(lowbit_quantize_pack(on, &quantize), LOWBIT_OK) << lowbit_last_error();
    const lowbit_rho_compress_args compress{sizeof(compress), LOWBIT_INT8, tensor(LOWBIT_TYPE_F32, values.data(), {64}),
                                            tensor(LOWBIT_TYPE_U8, packed.data(), {64}),
                                            tensor(LOWBIT_TYPE_F32, scales.data(), {2})};
    ASSERT_EQ(lowbit_rho_compress(on, &compress), LOWBIT_OK) << lowbit_last_error();
  }

  std::vector<lowbit_profile_entry> entries() const {
    size_t count = 0;
    EXPECT_EQ(lowbit_profile_get_entries(device, nullptr, &count), LOWBIT_OK);
    std::vector<lowbit_profile_entry> found(count);
    EXPECT_EQ(lowbit_profile_get_entries(device, found.data(), &count), LOWBIT_OK);
    EXPECT_EQ(found.size(), count);
    return found;
  }

  static json read(const std::string& path) { return json::parse(std::ifstream(path)); }

  const std::string path = testing::TempDir() + "lowbit_profiler_test.json";
  void TearDown() override {
    std::remove(path.c_str());
    ApiTest::TearDown();
  }
};

const lowbit_profile_entry& entry_of(const std::vector<lowbit_profile_entry>& entries, const std::string& prefix) {
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const lowbit_profile_entry& e) {
    return std::string(e.kernel).starts_with(prefix);
  });
  if (found == entries.end()) throw std::runtime_error("no entry of " + prefix);
  return *found;
}

TEST_F(ProfilerTest, CountsLaunchesWhileItIsOn) {
  run(stream);
  EXPECT_TRUE(entries().empty());
  ASSERT_EQ(lowbit_profile_start(device), LOWBIT_OK);
  for (int i = 0; i < 3; ++i) run(stream);
  ASSERT_EQ(lowbit_profile_stop(device), LOWBIT_OK);
  run(stream);

  const auto found = entries();
  ASSERT_EQ(found.size(), 2u);
  EXPECT_GE(found[0].total, found[1].total);
  const lowbit_profile_entry& quantize = entry_of(found, "quantize_pack");
  EXPECT_EQ(quantize.count, 3u);
  EXPECT_EQ(quantize.bytes, 3 * (40 * 4 + 10 * 4 + 4));
  EXPECT_EQ(quantize.operations, 0);
  EXPECT_LE(3 * quantize.minimum, quantize.total);
  EXPECT_LE(quantize.minimum, quantize.median * 1.01);
  EXPECT_LE(quantize.median, quantize.p99);
  EXPECT_EQ(entry_of(found, "rho_compress").bytes, 3 * (64 * 4 + 64 + 2 * 4));

  ASSERT_EQ(lowbit_profile_reset(device), LOWBIT_OK);
  EXPECT_TRUE(entries().empty());
}

// A projection: its own launch, that of the quantisation inside, and none of the guard's when the weight is prepared.
TEST_F(ProfilerTest, CountsAProjection) {
  ASSERT_EQ(lowbit_profile_start(device), LOWBIT_OK);
  const std::vector<uint8_t> packed(2 * 8 * 6, 1);
  const float scale = 0.5f;
  const lowbit_weight_desc desc{
      sizeof(desc), LOWBIT_LOWRANK_PROJECTION, LOWBIT_INT8, 2, 8, 6, packed.data(), packed.size(), &scale, 1};
  lowbit_weight* weight = nullptr;
  ASSERT_EQ(lowbit_weight_prepare(device, &desc, &weight), LOWBIT_OK) << lowbit_last_error();
  EXPECT_TRUE(entries().empty());

  std::vector<float> values(3 * 8, 1.0f), out(2 * 3 * 5);
  const lowbit_lowrank_projection_args args{.struct_size = sizeof(args),
                                            .input = {.values = tensor(LOWBIT_TYPE_F32, values.data(), {1, 1, 3, 8})},
                                            .weight = weight,
                                            .output = tensor(LOWBIT_TYPE_F32, out.data(), {1, 2, 3, 5})};
  ASSERT_EQ(lowbit_lowrank_projection(stream, &args), LOWBIT_OK) << lowbit_last_error();
  lowbit_weight_destroy(weight);

  const auto found = entries();
  ASSERT_EQ(found.size(), 2u);
  const lowbit_profile_entry& projection = entry_of(found, "lowrank_projection");
  EXPECT_EQ(projection.operations, 2 * (2 * 3 * 5) * 8);
  EXPECT_EQ(projection.bytes, 3 * 8 + 4 + 2 * 8 * 5 + 4 * (2 * 3 * 5));  // codes, their scale, weights, results
  EXPECT_EQ(entry_of(found, "quantize_pack").count, 1u);

  ASSERT_EQ(lowbit_profile_write_trace(device, path.c_str()), LOWBIT_OK) << lowbit_last_error();
  const json trace = read(path);
  int launches = 0;
  for (const json& event : trace["traceEvents"]) {
    if (event["ph"] != "X") continue;
    EXPECT_EQ(event["args"]["call"], "lowrank_projection") << event["name"];
    ++launches;
  }
  EXPECT_EQ(launches, 2);
}

TEST_F(ProfilerTest, WritesATrace) {
  lowbit_stream* second = nullptr;
  ASSERT_EQ(lowbit_stream_create(device, &second), LOWBIT_OK);
  ASSERT_EQ(lowbit_profile_start(device), LOWBIT_OK);
  run(stream);
  run(second);
  lowbit_stream_destroy(second);
  ASSERT_EQ(lowbit_profile_write_trace(device, path.c_str()), LOWBIT_OK) << lowbit_last_error();

  const json trace = read(path);
  EXPECT_EQ(trace["otherData"]["left_out"], 0);
  std::vector<json> complete;
  for (const json& event : trace["traceEvents"]) {
    ASSERT_TRUE(event["ph"] == "X" || event["ph"] == "M");
    if (event["ph"] == "X") complete.push_back(event);
  }
  ASSERT_EQ(complete.size(), 4u);
  double last = 0;
  for (const json& event : complete) {
    EXPECT_TRUE(event["name"].is_string() && event["ts"].is_number() && event["dur"].is_number());
    EXPECT_EQ(event["pid"], 1);
    EXPECT_GE(event["ts"].get<double>(), last);
    last = event["ts"].get<double>() + event["dur"].get<double>() - 0.001;  // rounded to it
  }
  EXPECT_EQ(complete[0]["tid"], 1);
  EXPECT_EQ(complete[1]["tid"], 1);
  EXPECT_EQ(complete[2]["tid"], 2);
  EXPECT_EQ(complete[1]["args"]["bytes"], 64 * 4 + 64 + 2 * 4);
}

TEST_F(ProfilerTest, IsStartedByTheEnvironment) {
  {
    const ScopedEnvironment profile("LOWBIT_PROFILE", path.c_str());
    const lowbit_device_options options{sizeof(options), "reference"};
    lowbit_device* other = nullptr;
    ASSERT_EQ(lowbit_device_open(&options, &other), LOWBIT_OK) << lowbit_last_error();
    lowbit_stream* on = nullptr;
    ASSERT_EQ(lowbit_stream_create(other, &on), LOWBIT_OK);
    run(on);
    lowbit_device_close(other);
    EXPECT_EQ(read(path)["traceEvents"].size(), 1u);  // the stream keeps the device
    lowbit_stream_destroy(on);
    EXPECT_EQ(read(path)["traceEvents"].size(), 4u);  // the process, its stream, two launches
  }
  const ScopedEnvironment profile("LOWBIT_PROFILE", "/nowhere/at/all");
  const lowbit_device_options options{sizeof(options), "reference"};
  lowbit_device* other = nullptr;
  expect_refused(lowbit_device_open(&options, &other), "/nowhere/at/all");
}

TEST_F(ProfilerTest, ThreadsShareIt) {
  ASSERT_EQ(lowbit_profile_start(device), LOWBIT_OK);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      lowbit_stream* own = nullptr;
      ASSERT_EQ(lowbit_stream_create(device, &own), LOWBIT_OK);
      for (int i = 0; i < 50; ++i) {
        run(own);
        if (i % 10 == 0) entries();
      }
      lowbit_stream_destroy(own);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(entry_of(entries(), "quantize_pack").count, 200u);
}

TEST_F(ProfilerTest, RefusesWhatItCannotDo) {
  size_t count = 1;
  expect_refused(lowbit_profile_start(nullptr), "profile_start: device is NULL");
  expect_refused(lowbit_profile_stop(nullptr), "profile_stop: device is NULL");
  expect_refused(lowbit_profile_reset(nullptr), "profile_reset: device is NULL");
  expect_refused(lowbit_profile_get_entries(nullptr, nullptr, &count), "device is NULL");
  expect_refused(lowbit_profile_get_entries(device, nullptr, nullptr), "count is NULL");
  expect_refused(lowbit_profile_get_entries(device, nullptr, &count), "entries is NULL, but count is 1");
  expect_refused(lowbit_profile_write_trace(device, path.c_str()), "the device has no profile");
  ASSERT_EQ(lowbit_profile_start(device), LOWBIT_OK);
  expect_refused(lowbit_profile_write_trace(device, nullptr), "path is NULL");
  expect_refused(lowbit_profile_write_trace(device, "/nowhere/at/all"), "/nowhere/at/all");
}

TEST(Durations, QuantilesAreExactToOnePercent) {
  std::mt19937_64 random(1);
  for (int bits : {3, 7, 20, 40, 62}) {
    core::Durations durations;
    std::vector<int64_t> all;
    for (int i = 0; i < 1000; ++i) {
      all.push_back(static_cast<int64_t>(random() >> (64 - bits)));
      durations.add(all.back());
    }
    std::sort(all.begin(), all.end());
    for (double share : {0.001, 0.5, 0.99, 1.0}) {
      const auto exact = static_cast<double>(all[static_cast<size_t>(share * 1000) - 1]);
      EXPECT_NEAR(durations.quantile(share), exact, 0.01 * exact) << bits << " bits, " << share;
    }
  }
  EXPECT_EQ(core::Durations().quantile(0.5), 0);
}

}  // namespace
}  // namespace lowbit::test
