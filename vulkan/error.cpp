#include "error.h"

#include <fmt/format.h>

namespace lowbit::core::vulkan {

std::string name_of(VkResult result) {
  switch (result) {
#define LOWBIT_RESULT(name) \
  case name:                \
    return #name
    LOWBIT_RESULT(VK_NOT_READY);
    LOWBIT_RESULT(VK_TIMEOUT);
    LOWBIT_RESULT(VK_INCOMPLETE);
    LOWBIT_RESULT(VK_ERROR_OUT_OF_HOST_MEMORY);
    LOWBIT_RESULT(VK_ERROR_OUT_OF_DEVICE_MEMORY);
    LOWBIT_RESULT(VK_ERROR_INITIALIZATION_FAILED);
    LOWBIT_RESULT(VK_ERROR_DEVICE_LOST);
    LOWBIT_RESULT(VK_ERROR_MEMORY_MAP_FAILED);
    LOWBIT_RESULT(VK_ERROR_LAYER_NOT_PRESENT);
    LOWBIT_RESULT(VK_ERROR_EXTENSION_NOT_PRESENT);
    LOWBIT_RESULT(VK_ERROR_FEATURE_NOT_PRESENT);
    LOWBIT_RESULT(VK_ERROR_INCOMPATIBLE_DRIVER);
    LOWBIT_RESULT(VK_ERROR_TOO_MANY_OBJECTS);
    LOWBIT_RESULT(VK_ERROR_FRAGMENTED_POOL);
    LOWBIT_RESULT(VK_ERROR_OUT_OF_POOL_MEMORY);
    LOWBIT_RESULT(VK_ERROR_INVALID_EXTERNAL_HANDLE);
    LOWBIT_RESULT(VK_ERROR_UNKNOWN);
#undef LOWBIT_RESULT
    default:
      return fmt::format("VkResult {}", static_cast<int>(result));
  }
}

Status check(VkResult result, const char* what) {
  if (result == VK_SUCCESS) return {};
  const bool is_memory = result == VK_ERROR_OUT_OF_HOST_MEMORY || result == VK_ERROR_OUT_OF_DEVICE_MEMORY ||
                         result == VK_ERROR_OUT_OF_POOL_MEMORY || result == VK_ERROR_TOO_MANY_OBJECTS;
  const lowbit_status code = is_memory                        ? LOWBIT_OUT_OF_MEMORY
                             : result == VK_ERROR_DEVICE_LOST ? LOWBIT_DEVICE_LOST
                                                              : LOWBIT_DRIVER_ERROR;
  return {code, fmt::format("{}: {}", what, name_of(result)), result};
}

}  // namespace lowbit::core::vulkan
