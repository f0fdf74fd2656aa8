// What the tests of the Vulkan backend share. They run on the device that LOWBIT_VULKAN_DEVICE names, else on the first
// that is hardware, and without any they are skipped.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "error_of.h"
#include "fake_device.h"
#include "lowbit/lowbit.hpp"
#include "mix.h"
#include "vulkan/open_device.h"
#include "vulkan_watch.h"

namespace lowbit::test {

class VulkanTest : public testing::Test {
 protected:
  void SetUp() override {
    try {
      device.emplace(open());
    } catch (const Error& error) {
      if (error.status() != LOWBIT_UNAVAILABLE) throw;
      GTEST_SKIP() << error.what();
    }
  }
  static Device open() { return Device::open({.backend = "vulkan", .guard = LOWBIT_GUARD_OFF}); }
  static Device open(const core::vulkan::Pretence& pretence) {
    Device opened = open();
    std::shared_ptr<core::Device> other;
    const core::Status status =
        core::vulkan::open_device({.guard = LOWBIT_GUARD_OFF}, core::kernel_table(), pretence, &other);
    if (!status.ok()) throw std::runtime_error(status.sentence());
    opened.get()->device = other;
    return opened;
  }
  static core::Device& inside(const Device& of) { return *of.get()->device; }

 private:
  const ScopedEnvironment no_cache_{"LOWBIT_PIPELINE_CACHE", "off"};  // until the device is closed

 protected:
  std::optional<Device> device;
};

}  // namespace lowbit::test
