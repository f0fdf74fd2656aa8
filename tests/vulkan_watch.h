// What a Vulkan device's driver is asked: objects made and not yet destroyed are counted, and calls fail when told to.
// The functions of the devices that are watched share all counts.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "vulkan/vulkan_device.h"

namespace lowbit::test {

class VulkanWatch {
 public:
  // Watches `device` from here on, to its end. Only one VulkanWatch at a time; what it was told ends with it.
  explicit VulkanWatch(core::Device& device);
  ~VulkanWatch();
  VulkanWatch(const VulkanWatch&) = delete;
  VulkanWatch& operator=(const VulkanWatch&) = delete;

  // Functions that make something, and may run out of memory.
  static std::vector<std::string> makers();

  // Calls first, first + 1, ... of `function` from now on give `result` and do nothing, `times` of them.
  static void fail(const std::string& function, VkResult result, int first = 1, int times = 1);
  // No timeline moves, as far as the host can see.
  void stop_timelines();
  // All goes its way again. Returns how many calls failed.
  static int heal();

  // vkCreateBuffer's objects that are there, and those of all functions that make some.
  int64_t live(const std::string& maker) const;
  std::map<std::string, int64_t> live() const;
  // Calls of makers(), since the beginning.
  int64_t made() const;
};

}  // namespace lowbit::test
