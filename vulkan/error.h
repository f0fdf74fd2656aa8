// Vulkan's results as Statuses.
#pragma once

#include "status.h"
#include "vk.h"

namespace lowbit::core::vulkan {

// "VK_ERROR_DEVICE_LOST"; "VkResult -99" for a number that is none of those known here.
std::string name_of(VkResult result);

// "<what>: VK_ERROR_DEVICE_LOST". OUT_OF_MEMORY for exhausted memory, DEVICE_LOST for a lost device, DRIVER_ERROR for
// the rest, VK_TIMEOUT too. `what` is what was being done.
Status check(VkResult result, const char* what);

}  // namespace lowbit::core::vulkan
