// The C entries that are no operation: names, devices, buffers, weights and errors.
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "api.h"

namespace lowbit::test {
namespace {

using testing::HasSubstr;

// ---- Names ----------------------------------------------------------------------------------------------------------

TEST(Api, NamesItsVersionAndStatuses) {
  int major, minor, patch;
  char rest;
  EXPECT_EQ(std::sscanf(lowbit_version(), "%d.%d.%d%c", &major, &minor, &patch, &rest), 3) << lowbit_version();
  EXPECT_STREQ(lowbit_status_name(LOWBIT_OK), "ok");
  EXPECT_STREQ(lowbit_status_name(LOWBIT_UNSUPPORTED), "unsupported");
  EXPECT_STREQ(lowbit_status_name(LOWBIT_INTERNAL), "internal");
}

// ---- Handles --------------------------------------------------------------------------------------------------------

TEST_F(ApiTest, DeviceEntriesRefuse) {
  lowbit_device* opened = nullptr;
  lowbit_device_options options{.struct_size = sizeof(options)};
  for (int guard : {-1, 3, INT32_MAX}) {
    options.guard = static_cast<lowbit_guard>(guard);
    expect_refused(lowbit_device_open(&options, &opened), "options.guard is guard");
  }
  EXPECT_EQ(opened, nullptr);
  expect_refused(lowbit_device_warm_up(device, 1u << 6), "operations is");
  expect_refused(lowbit_device_warm_up(device, 1u << 31 | 1), "operations is");
  lowbit_backend_info backend{.struct_size = sizeof(backend)};
  expect_refused(lowbit_backend_get_info(4, &backend), "index is 4");
  expect_refused(lowbit_backend_get_info(UINT32_MAX, &backend), "index is");
  EXPECT_STREQ(backend.name, "");
}

TEST_F(ApiTest, ExplainRefuses) {
  lowbit_candidate candidate{};
  size_t count = 1;
  const lowbit_query valid{.struct_size = sizeof(valid), .operation = LOWBIT_LOWRANK_PROJECTION};
  const auto refuse = [&](const char* says, auto spoil) {
    lowbit_query query = valid;
    spoil(query);
    expect_refused(lowbit_explain(device, &query, &candidate, &count), says);
  };
  expect_refused(lowbit_explain(device, &valid, nullptr, &count), "candidates is NULL, but count is 1");
  for (int operation : {-1, 6, 1 << 20, INT32_MAX}) {
    refuse("query.operation is", [&](lowbit_query& q) { q.operation = static_cast<lowbit_operation>(operation); });
  }
  refuse("query.rows is -1, it must be at least 0", [](lowbit_query& q) { q.rows = -1; });
  refuse("query.depth is -9223372036854775808", [](lowbit_query& q) { q.depth = INT64_MIN; });
  refuse("query.outputs is -7", [](lowbit_query& q) { q.outputs = -7; });
  EXPECT_EQ(candidate.kernel, nullptr);
  EXPECT_EQ(count, 1u);
}

// Numbers that are no enumerators: one past the last, and far off.
TEST(Api, NamesNothingElse) {
  for (int none : {-1, INT32_MIN, INT32_MAX}) {
    EXPECT_EQ(lowbit_status_name(static_cast<lowbit_status>(none)), nullptr);
    EXPECT_EQ(lowbit_runtime_name(static_cast<lowbit_runtime>(none)), nullptr);
    EXPECT_EQ(lowbit_fallback_reason_name(static_cast<lowbit_fallback_reason>(none)), nullptr);
    EXPECT_EQ(lowbit_packed_weight_size(static_cast<lowbit_format>(none), 8), 0u);
    EXPECT_EQ(lowbit_rho_packed_size(static_cast<lowbit_format>(none), 8), 0u);
  }
  EXPECT_EQ(lowbit_status_name(static_cast<lowbit_status>(LOWBIT_INTERNAL + 1)), nullptr);
  EXPECT_EQ(lowbit_runtime_name(static_cast<lowbit_runtime>(LOWBIT_PACKED_NATIVE_TRAINING_FORWARD + 1)), nullptr);
  EXPECT_EQ(lowbit_fallback_reason_name(static_cast<lowbit_fallback_reason>(LOWBIT_FALLBACK_OUT_OF_MEMORY + 1)),
            nullptr);
  for (lowbit_format none : {LOWBIT_INT4, LOWBIT_UINT8, LOWBIT_F32, static_cast<lowbit_format>(LOWBIT_F32 + 1)}) {
    EXPECT_EQ(lowbit_packed_weight_size(none, 8), 0u);
    EXPECT_EQ(lowbit_rho_packed_size(none, 8), 0u);
  }
  for (uint64_t none : {uint64_t{0}, uint64_t{3}, uint64_t{LOWBIT_FEATURE_I8MM} << 1, UINT64_MAX}) {
    EXPECT_EQ(lowbit_feature_name(none), nullptr);
  }
}

TEST_F(ApiTest, Buffers) {
  lowbit_buffer* buffer = nullptr;
  expect_refused(lowbit_buffer_create(device, 0, &buffer), "size is 0");
  for (uint64_t size : {uint64_t{1} << 60, UINT64_MAX}) {
    expect_refused(lowbit_buffer_create(device, size, &buffer), "bytes", LOWBIT_OUT_OF_MEMORY);
  }
  EXPECT_EQ(buffer, nullptr);

  ASSERT_EQ(lowbit_buffer_create(device, 100, &buffer), LOWBIT_OK);
  EXPECT_EQ(lowbit_buffer_size(buffer), 100u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(lowbit_buffer_data(buffer)) % 64, 0u);
  const std::string text = "there and back";
  std::string back(text.size(), '?');
  void* data = lowbit_buffer_data(buffer);
  EXPECT_EQ(lowbit_copy_to_device(stream, data, 86, text.data(), 14), LOWBIT_OK);
  EXPECT_EQ(lowbit_copy_to_host(stream, back.data(), data, 86, 14), LOWBIT_OK);
  EXPECT_EQ(lowbit_stream_flush(stream), LOWBIT_OK);
  EXPECT_EQ(lowbit_stream_synchronize(stream), LOWBIT_OK);
  EXPECT_EQ(back, text);
  EXPECT_EQ(lowbit_copy_to_device(stream, nullptr, 0, nullptr, 0), LOWBIT_OK);
  for (uint64_t most : {uint64_t{1} << 63, UINT64_MAX - 3, UINT64_MAX}) {
    expect_refused(lowbit_copy_to_device(stream, data, most, text.data(), 1), "copy_to_device: offset is");
    expect_refused(lowbit_copy_to_device(stream, data, 0, text.data(), most), "and size");
    expect_refused(lowbit_copy_to_host(stream, back.data(), data, most, 1), "copy_to_host: offset is");
    expect_refused(lowbit_copy_to_host(stream, back.data(), data, 0, most), "and size");
  }
  lowbit_buffer_destroy(buffer);
}

TEST_F(ApiTest, WeightPrepareRefuses) {
  const std::vector<uint8_t> packed(24, 1);
  const std::vector<float> scales(6, 1);
  const lowbit_weight_desc valid{
      sizeof(valid), LOWBIT_LOWRANK_PROJECTION, LOWBIT_INT8, 2, 4, 3, packed.data(), 24, scales.data(), 6};
  lowbit_weight* weight = nullptr;
  const auto refuse = [&](const char* says, auto spoil) {
    lowbit_weight_desc desc = valid;
    spoil(desc);
    expect_refused(lowbit_weight_prepare(device, &desc, &weight), says);
    EXPECT_EQ(weight, nullptr);
  };
  using Desc = lowbit_weight_desc;
  for (int operation : {-1, 0, 1, 4, 6}) {
    refuse("operation is", [&](Desc& d) { d.operation = static_cast<lowbit_operation>(operation); });
  }
  for (int format : {-1, 1, 2, 5, 6})
    refuse("format is", [&](Desc& d) { d.format = static_cast<lowbit_format>(format); });
  refuse("heads x rows x columns is 0 x 4 x 3", [](Desc& d) { d.heads = 0; });
  refuse("heads x rows x columns is 2 x -4 x 3", [](Desc& d) { d.rows = -4; });
  refuse("heads x rows x columns", [](Desc& d) { d.columns = INT64_MIN; });
  refuse("heads x rows x columns", [](Desc& d) { d.rows = d.columns = int64_t{1} << 40; });
  refuse("heads x rows x columns", [](Desc& d) { d.heads = d.rows = d.columns = int64_t{1} << 17; });
  refuse("packed is NULL", [](Desc& d) { d.packed = nullptr; });
  refuse("scales is NULL", [](Desc& d) { d.scales = nullptr; });
  refuse("packed_size is 23, 24 weights in int8 take 24 bytes", [](Desc& d) { d.packed_size = 23; });
  refuse("packed_size is 25", [](Desc& d) { d.packed_size = 25; });
  refuse("scale_count is 0, it may be 1 or 6", [](Desc& d) { d.scale_count = 0; });
  refuse("scale_count is 3, it may be 1 or 6", [](Desc& d) { d.scale_count = 3; });
  refuse("scale_count is 6, it may be 1 or 3", [](Desc& d) { d.operation = LOWBIT_DECODER_TAIL; });
  std::vector<uint8_t> ternary(6);
  ternary[4] = 3 << 2;
  refuse("ternary code 3 at weight 17",
         [&](Desc& d) { d.format = LOWBIT_TERNARY, d.packed = ternary.data(), d.packed_size = 6; });

  ASSERT_EQ(lowbit_weight_prepare(device, &valid, &weight), LOWBIT_OK) << lowbit_last_error();
  EXPECT_GE(lowbit_weight_size(weight), 24u + 6 * sizeof(float));
  lowbit_weight_destroy(weight);
}

// A sentence is cut where it does not fit, and still ends.
TEST_F(ApiTest, LongErrors) {
  const std::string name(5000, 'x');
  const lowbit_device_options options{sizeof(options), name.c_str()};
  lowbit_device* opened = nullptr;
  EXPECT_EQ(lowbit_device_open(&options, &opened), LOWBIT_INVALID_ARGUMENT);
  EXPECT_THAT(lowbit_last_error(), HasSubstr("backend is 'xxxx"));
  EXPECT_LT(std::strlen(lowbit_last_error()), 5000u);
}

}  // namespace
}  // namespace lowbit::test

#if LOWBIT_SANITIZED
// Memory that cannot be had is a NULL to be tested, not the end of the run.
extern "C" __attribute__((visibility("default"))) const char* __asan_default_options() {
  return "allocator_may_return_null=1";
}
#endif
