// A device and a stream of it, for the tests of the C entries.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>

#include "lowbit/lowbit.h"

namespace lowbit::test {

class ApiTest : public testing::Test {
 protected:
  void SetUp() override {
    const lowbit_device_options options{sizeof(options), "cpu"};
    ASSERT_EQ(lowbit_device_open(&options, &device), LOWBIT_OK);
    ASSERT_EQ(lowbit_stream_create(device, &stream), LOWBIT_OK);
  }
  void TearDown() override {
    lowbit_stream_destroy(stream);
    lowbit_device_close(device);
  }
  lowbit_device* device = nullptr;
  lowbit_stream* stream = nullptr;
};

inline void expect_refused(lowbit_status status, const char* says, lowbit_status expected = LOWBIT_INVALID_ARGUMENT) {
  EXPECT_EQ(status, expected) << says;
  EXPECT_THAT(lowbit_last_error(), testing::HasSubstr(says));
}

inline lowbit_tensor tensor(lowbit_type type, void* data, std::initializer_list<int64_t> shape) {
  lowbit_tensor t{.data = data, .rank = static_cast<int32_t>(shape.size()), .type = type};
  std::copy(shape.begin(), shape.end(), t.shape);
  return t;
}

}  // namespace lowbit::test
