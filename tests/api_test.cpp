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
  for (int none : {-1, 9, 1 << 30}) EXPECT_EQ(lowbit_status_name(static_cast<lowbit_status>(none)), nullptr);
}

// ---- Handles --------------------------------------------------------------------------------------------------------

TEST_F(ApiTest, DeviceEntriesRefuse) {
  lowbit_device* opened = nullptr;
  lowbit_device_options options{};
  expect_refused(lowbit_device_open(&options, &opened), "options.struct_size is 0");
  options.struct_size = sizeof(options);
  expect_refused(lowbit_device_open(&options, nullptr), "device is NULL");
  for (int guard : {-1, 2}) {
    options.guard = static_cast<lowbit_guard>(guard);
    expect_refused(lowbit_device_open(&options, &opened), "options.guard is guard");
  }
  EXPECT_EQ(opened, nullptr);

  lowbit_device_info info{};
  expect_refused(lowbit_device_get_info(device, &info), "info.struct_size is 0");
  expect_refused(lowbit_device_get_info(device, nullptr), "info is NULL");
  info.struct_size = sizeof(info);
  expect_refused(lowbit_device_get_info(nullptr, &info), "device is NULL");
  EXPECT_STREQ(info.backend, "");

  expect_refused(lowbit_device_warm_up(nullptr, 0), "device is NULL");
  expect_refused(lowbit_device_warm_up(device, 1u << 6), "operations is");
  expect_refused(lowbit_device_warm_up(device, 1u << 31 | 1), "operations is");

  lowbit_backend_info backend{};
  expect_refused(lowbit_backend_get_info(0, &backend), "info.struct_size is 0");
  expect_refused(lowbit_backend_get_info(0, nullptr), "info is NULL");
  backend.struct_size = sizeof(backend);
  expect_refused(lowbit_backend_get_info(4, &backend), "index is 4");
  expect_refused(lowbit_backend_get_info(UINT32_MAX, &backend), "index is");
}

TEST_F(ApiTest, ExplainRefuses) {
  lowbit_query query{sizeof(query), LOWBIT_RHO_EXPAND, LOWBIT_INT8, LOWBIT_INT8};
  lowbit_candidate candidate{};
  size_t count = 1;
  expect_refused(lowbit_explain(nullptr, &query, &candidate, &count), "device is NULL");
  expect_refused(lowbit_explain(device, nullptr, &candidate, &count), "query is NULL");
  expect_refused(lowbit_explain(device, &query, &candidate, nullptr), "count is NULL");
  expect_refused(lowbit_explain(device, &query, nullptr, &count), "candidates is NULL, but count is 1");
  for (int operation : {-1, 6, 1 << 20}) {
    query.operation = static_cast<lowbit_operation>(operation);
    expect_refused(lowbit_explain(device, &query, &candidate, &count), "query.operation is");
  }
  query.struct_size = 4;
  expect_refused(lowbit_explain(device, &query, &candidate, &count), "query.struct_size is 4");
  EXPECT_EQ(candidate.kernel, nullptr);
  EXPECT_EQ(count, 1u);
}

TEST_F(ApiTest, NullHandlesAreHarmless) {
  lowbit_device_close(nullptr);
  lowbit_buffer_destroy(nullptr);
  lowbit_stream_destroy(nullptr);
  lowbit_weight_destroy(nullptr);
  EXPECT_EQ(lowbit_buffer_data(nullptr), nullptr);
  EXPECT_EQ(lowbit_buffer_size(nullptr), 0u);
  EXPECT_EQ(lowbit_stream_scratch_size(nullptr), 0u);
  EXPECT_EQ(lowbit_weight_size(nullptr), 0u);
  EXPECT_STREQ(lowbit_stream_last_kernel(nullptr), "");
  expect_refused(lowbit_stream_flush(nullptr), "stream is NULL");
  expect_refused(lowbit_stream_synchronize(nullptr), "stream is NULL");
  expect_refused(lowbit_stream_reserve_scratch(nullptr, 1), "stream is NULL");
}

TEST_F(ApiTest, Buffers) {
  lowbit_buffer* buffer = nullptr;
  expect_refused(lowbit_buffer_create(nullptr, 1, &buffer), "device is NULL");
  expect_refused(lowbit_buffer_create(device, 1, nullptr), "buffer is NULL");
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
  expect_refused(lowbit_copy_to_device(nullptr, data, 0, text.data(), 1), "stream is NULL");
  expect_refused(lowbit_copy_to_device(stream, nullptr, 0, text.data(), 1), "device_data is NULL");
  expect_refused(lowbit_copy_to_device(stream, data, 0, nullptr, 1), "host is NULL");
  expect_refused(lowbit_copy_to_host(nullptr, back.data(), data, 0, 1), "stream is NULL");
  expect_refused(lowbit_copy_to_host(stream, back.data(), nullptr, 0, 1), "device_data is NULL");
  expect_refused(lowbit_copy_to_host(stream, nullptr, data, 0, 1), "host is NULL");
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
  expect_refused(lowbit_weight_prepare(nullptr, &valid, &weight), "device is NULL");
  expect_refused(lowbit_weight_prepare(device, nullptr, &weight), "desc is NULL");
  expect_refused(lowbit_weight_prepare(device, &valid, nullptr), "weight is NULL");
  refuse("desc.struct_size is 8", [](Desc& d) { d.struct_size = 8; });
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
