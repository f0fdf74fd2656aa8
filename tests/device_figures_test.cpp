// What a device says of its memory and of the least time that work takes, on every backend.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "targets.h"

namespace lowbit::test {
namespace {

class DeviceFiguresTest : public testing::TestWithParam<Target> {
 protected:
  void SetUp() override {
    std::string absent;
    device = open(GetParam(), &absent);
    if (!device) GTEST_SKIP() << absent;
  }
  std::string backend() const { return device->info().backend; }
  std::optional<Device> device;
};

TEST_P(DeviceFiguresTest, MemoryIsCounted) {
  const lowbit_memory_info before = device->memory();
  EXPECT_GE(before.reserved, before.in_use);
  {
    const Buffer a(*device, 3 << 20);
    {
      const Buffer b(*device, 1 << 20);
      EXPECT_EQ(device->memory().in_use, before.in_use + (4 << 20));
      EXPECT_GE(device->memory().reserved, before.reserved + (4 << 20));
    }
    EXPECT_EQ(device->memory().in_use, before.in_use + (3 << 20));
    EXPECT_EQ(device->memory().peak, before.in_use + (4 << 20));
    EXPECT_GE(device->memory().reserved, before.reserved + (3 << 20));
  }
  EXPECT_EQ(device->memory().in_use, before.in_use);
  // A cuda device's pool may keep what it has.
  if (backend() != "cuda") {
    EXPECT_EQ(device->memory().reserved, before.reserved);
  }
}

TEST_P(DeviceFiguresTest, FloorIsTheLongerOfMovingAndMultiplying) {
  EXPECT_EQ(device->floor(0, 0), 0);
  // So many that threads divide all of it evenly.
  constexpr double kOperations = 1e12;
  const double moving = device->floor(1 << 20, 0), multiplying = device->floor(0, kOperations);
  EXPECT_EQ(device->floor(1 << 20, kOperations), std::max(moving, multiplying));
  EXPECT_DOUBLE_EQ(device->floor(0, 2 * kOperations), 2 * multiplying);
  EXPECT_DOUBLE_EQ(device->floor(1 << 20, 0), moving) << "it is measured once";
  if (backend() == "cuda") return;  // knows what its driver tells
  EXPECT_EQ(multiplying > 0, backend() == "cpu" && device->info().features != 0);
  EXPECT_EQ(moving > 0, backend() != "vulkan");
}

TEST_P(DeviceFiguresTest, FloorOfVeryLittleAndVeryMuch) {
  if (backend() == "vulkan") GTEST_SKIP() << "Vulkan does not tell how fast its memory is";
  for (const double bytes : {1.0, 100.0, 4096.0, 5000.0, 1e30, std::numeric_limits<double>::max() / 1e3}) {
    const double floor = device->floor(bytes, 0);
    EXPECT_GT(floor, 0) << bytes;
    EXPECT_TRUE(std::isfinite(floor)) << bytes;
  }
}

TEST_P(DeviceFiguresTest, RefusesWhatIsNoAmount) {
  const auto expect_refused = [&](double bytes, double operations, double* floor, const std::string& words) {
    EXPECT_EQ(lowbit_device_get_floor(device->get(), bytes, operations, floor), LOWBIT_INVALID_ARGUMENT);
    EXPECT_NE(std::string(lowbit_last_error()).find(words), std::string::npos) << lowbit_last_error();
  };
  double floor = -1;
  expect_refused(-1, 0, &floor, "bytes is -1");
  expect_refused(0, std::nan(""), &floor, "operations is nan");
  expect_refused(std::numeric_limits<double>::infinity(), 0, &floor, "bytes is inf");
  expect_refused(0, 0, nullptr, "nanoseconds is NULL");
  EXPECT_EQ(floor, -1);
}

INSTANTIATE_TEST_SUITE_P(Devices, DeviceFiguresTest, testing::ValuesIn(targets()), name_of_target);

}  // namespace
}  // namespace lowbit::test
