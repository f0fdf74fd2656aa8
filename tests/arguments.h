// Calls that are right but for one thing, for arguments_test.cpp.
#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "fake_device.h"
#include "targets.h"

namespace lowbit::test {

constexpr int64_t kHuge = int64_t{1} << 40;

template <typename Args>
using Function = lowbit_status (*)(lowbit_stream*, const Args*);

// A tensor among the arguments of an operation.
template <typename Args>
struct Named {
  const char* name;
  lowbit_tensor& (*of)(Args&);
};

// One number of a tensor that is wrong, and how the sentence goes on after the tensor's name.
struct Spoiled {
  const char* says;
  void (*spoil)(lowbit_tensor&);
};
inline int64_t& last_axis(lowbit_tensor& t) { return t.shape[t.rank - 1]; }
inline constexpr Spoiled kSpoiled[] = {
    {".data is NULL", [](lowbit_tensor& t) { t.data = nullptr; }},
    {".rank is 0", [](lowbit_tensor& t) { t.rank = 0; }},
    {".rank is 5", [](lowbit_tensor& t) { t.rank = 5; }},
    {".rank is -1", [](lowbit_tensor& t) { t.rank = -1; }},
    {".type is f16", [](lowbit_tensor& t) { t.type = LOWBIT_TYPE_F16; }},
    {".type is bf16", [](lowbit_tensor& t) { t.type = LOWBIT_TYPE_BF16; }},
    {".type is type 17", [](lowbit_tensor& t) { t.type = static_cast<lowbit_type>(17); }},
    {".type is type -1", [](lowbit_tensor& t) { t.type = static_cast<lowbit_type>(-1); }},
    {" has shape [", [](lowbit_tensor& t) { t.shape[0] = 0; }},
    {" has shape [", [](lowbit_tensor& t) { t.shape[0] = -3; }},
    {" has shape [", [](lowbit_tensor& t) { last_axis(t) = INT64_MIN; }},
    {".row_stride is -1", [](lowbit_tensor& t) { t.row_stride = -1; }},
    {".row_stride is", [](lowbit_tensor& t) { t.row_stride = last_axis(t) == 1 ? -7 : last_axis(t) - 1; }},
    {".size is 1 bytes", [](lowbit_tensor& t) { t.size = 1; }},
    {".size is", [](lowbit_tensor& t) { t.offset = t.size + 4; }},
    {"", [](lowbit_tensor& t) { t.offset = UINT64_MAX - 3; }},
    {"", [](lowbit_tensor& t) { t.rank = 2, t.shape[0] = t.shape[1] = kHuge, t.size = 0; }},
    {"", [](lowbit_tensor& t) { t.rank = 4, t.shape[0] = t.shape[1] = t.shape[2] = t.shape[3] = kHuge, t.size = 0; }},
    {"", [](lowbit_tensor& t) { last_axis(t) = INT64_MAX, t.size = 0; }},
};

class ArgumentsTest : public testing::TestWithParam<Target> {
 protected:
  void SetUp() override {
    device = open();
    if (device == nullptr) GTEST_SKIP() << lowbit_last_error();
    ASSERT_EQ(lowbit_stream_create(device, &stream), LOWBIT_OK);
  }
  void TearDown() override {
    for (lowbit_buffer* buffer : buffers_) lowbit_buffer_destroy(buffer);
    lowbit_stream_destroy(stream);
    lowbit_device_close(device);
  }
  static lowbit_device* open() {
    const lowbit_device_options options{
        .struct_size = sizeof(options), .backend = GetParam().backend, .guard = LOWBIT_GUARD_OFF};
    lowbit_device* opened = nullptr;
    const lowbit_status status = lowbit_device_open(&options, &opened);
    EXPECT_TRUE(status == LOWBIT_OK || status == LOWBIT_UNAVAILABLE) << lowbit_last_error();
    return opened;
  }

  // In memory that is all the same value, and so far from others that an operand laid on one overlaps no other.
  lowbit_tensor tensor(lowbit_type type, std::vector<int64_t> shape) {
    int64_t count = 1;
    for (int64_t extent : shape) count *= extent;
    constexpr uint64_t kApart = 1 << 14;
    const std::vector<uint8_t> bytes(static_cast<uint64_t>(count) * 4 + 2 * kApart, 1);
    buffers_.emplace_back();
    EXPECT_EQ(lowbit_buffer_create(device, bytes.size(), &buffers_.back()), LOWBIT_OK) << lowbit_last_error();
    void* const data = lowbit_buffer_data(buffers_.back());
    EXPECT_EQ(lowbit_copy_to_device(stream, data, 0, bytes.data(), bytes.size()), LOWBIT_OK);
    EXPECT_EQ(lowbit_stream_synchronize(stream), LOWBIT_OK) << lowbit_last_error();
    lowbit_tensor t{.data = data,
                    .offset = kApart,
                    .size = kApart + static_cast<uint64_t>(count) * (type == LOWBIT_TYPE_U8 ? 1 : 4),
                    .rank = static_cast<int32_t>(shape.size()),
                    .type = type};
    std::copy(shape.begin(), shape.end(), t.shape);
    return t;
  }

  // H 2, K 6, N 5; a scale for all.
  lowbit_weight* weight(lowbit_device* on, lowbit_operation operation) {
    const std::vector<uint8_t> packed(60, 1);
    const float scale = 1;
    const lowbit_weight_desc desc{sizeof(desc), operation, LOWBIT_INT8, 2, 6, 5, packed.data(), 60, &scale, 1};
    lowbit_weight* made = nullptr;
    EXPECT_EQ(lowbit_weight_prepare(on, &desc, &made), LOWBIT_OK) << lowbit_last_error();
    return made;
  }

  template <typename Args>
  void expect_refused(Function<Args> call, const Args& args, const std::string& says) {
    const auto before = memory();
    EXPECT_EQ(call(stream, &args), LOWBIT_INVALID_ARGUMENT) << says;
    EXPECT_THAT(lowbit_last_error(), testing::HasSubstr(says));
    EXPECT_TRUE(memory() == before) << "memory was written: " << says;
  }

  // Every way to spoil each tensor. `optional_data`: a tensor whose data may be NULL.
  template <typename Args>
  void expect_common_refused(Function<Args> call, const Args& valid, std::initializer_list<Named<Args>> tensors,
                             const char* optional_data = "") {
    ASSERT_EQ(call(stream, &valid), LOWBIT_OK) << lowbit_last_error();
    for (const Named<Args>& named : tensors) {
      for (const Spoiled& spoiled : kSpoiled) {
        Args args = valid;
        spoiled.spoil(named.of(args));
        if (named.of(args).data == nullptr && std::string(optional_data) == named.name) continue;
        expect_refused(call, args, std::string(named.name) + spoiled.says);
      }
      Args args = valid;
      if (std::string(named.name) != "input") {  // what the others are measured by
        last_axis(named.of(args)) += 1, named.of(args).size = 0;
        expect_refused(call, args, named.name);
      }
      args = valid;
      if (named.of(args).type != LOWBIT_TYPE_U8) {
        named.of(args).offset = 2, named.of(args).size = 0;
        expect_refused(call, args, fmt::format("{} starts at ", named.name));
      }
      args = valid;
      named.of(args).type = named.of(args).type == LOWBIT_TYPE_U8 ? LOWBIT_TYPE_F32 : LOWBIT_TYPE_U8;
      expect_refused(call, args, fmt::format("{}.type is", named.name));
    }
  }

  // `output` on the first bytes of `other`, and on its last.
  template <typename Args>
  void expect_overlap_refused(Function<Args> call, const Args& valid, Named<Args> output, Named<Args> other) {
    for (bool at_end : {false, true}) {
      Args args = valid;
      lowbit_tensor& moved = output.of(args);
      moved.data = other.of(args).data, moved.size = 0;
      moved.offset = at_end ? (other.of(args).size - 1) / 4 * 4 : other.of(args).offset;
      const auto before = memory();
      EXPECT_EQ(call(stream, &args), LOWBIT_INVALID_ARGUMENT);
      EXPECT_THAT(lowbit_last_error(), testing::AllOf(testing::HasSubstr("overlaps"), testing::HasSubstr(output.name),
                                                      testing::HasSubstr(other.name)));
      EXPECT_TRUE(memory() == before);
    }
  }

  template <typename Args, typename Enum>
  void expect_enum_refused(Function<Args> call, const Args& valid, const char* name, Enum& (*of)(Args&),
                           std::initializer_list<int> values) {
    for (int value : values) {
      Args args = valid;
      of(args) = static_cast<Enum>(value);
      expect_refused(call, args, fmt::format("{} is ", name));
    }
  }

  lowbit_device* device = nullptr;
  lowbit_stream* stream = nullptr;

 private:
  // All of it, once everything has run.
  std::vector<std::vector<uint8_t>> memory() const {
    std::vector<std::vector<uint8_t>> all;
    for (const lowbit_buffer* buffer : buffers_) {
      std::vector<uint8_t>& bytes = all.emplace_back(lowbit_buffer_size(buffer));
      EXPECT_EQ(lowbit_copy_to_host(stream, bytes.data(), lowbit_buffer_data(buffer), 0, bytes.size()), LOWBIT_OK);
    }
    EXPECT_EQ(lowbit_stream_synchronize(stream), LOWBIT_OK) << lowbit_last_error();
    return all;
  }
  const ScopedEnvironment no_cache_{"LOWBIT_PIPELINE_CACHE", "off"};
  std::vector<lowbit_buffer*> buffers_;
};

#define NAMED(Args, field)                                     \
  Named<Args> {                                                \
#field, [](Args & a) -> lowbit_tensor& { return a.field; } \
  }
#define ENUM(Args, field) \
#field, +[](Args & a) -> auto& { return a.field; }

}  // namespace lowbit::test
