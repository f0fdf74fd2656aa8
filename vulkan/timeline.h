// How far a stream is: a timeline semaphore, signalled by its submissions with 1, 2, 3, ...
#pragma once

#include <atomic>

#include "vk.h"

namespace lowbit::core::vulkan {

struct Timeline {
  Timeline(VkDevice of, const VolkDeviceTable& functions) : device(of), vk(functions) {}
  ~Timeline() { vk.vkDestroySemaphore(device, semaphore, nullptr); }
  Timeline(const Timeline&) = delete;
  Timeline& operator=(const Timeline&) = delete;

  VkResult ask(uint64_t* reached) const { return vk.vkGetSemaphoreCounterValue(device, semaphore, reached); }

  // Whether the work up to `value` has run, or never will: that of a device that is lost, and what was recorded and
  // could not be submitted. Where it cannot be told, it may be running.
  bool has_reached(uint64_t value) const {
    uint64_t reached = 0;
    if (value == 0 || value > recorded.load()) return true;
    const VkResult result = ask(&reached);
    return result == VK_ERROR_DEVICE_LOST || (result == VK_SUCCESS && reached >= value);
  }

  VkDevice device;
  const VolkDeviceTable& vk;
  VkSemaphore semaphore = VK_NULL_HANDLE;
  std::atomic<uint64_t> submitted{0};  // what the last submission signals
  std::atomic<uint64_t> recorded{0};   // what the last work that was recorded will signal, or has signalled
};

}  // namespace lowbit::core::vulkan
