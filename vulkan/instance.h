// The process's Vulkan instance and the devices it lists.
#pragma once

#include <string>
#include <vector>

#include "cooperative_matrix.h"
#include "error.h"
#include "shader.h"

namespace lowbit::core::vulkan {

// A device that lowbit can use, and what of it decides on how.
struct PhysicalDevice {
  VkPhysicalDevice handle = VK_NULL_HANDLE;
  uint32_t index = 0;  // among all that Vulkan lists
  VkPhysicalDeviceProperties properties{};
  std::string uuid;  // "6d657361-3232-2e33-2e36-000000000000"
  uint64_t memory_size = 0;
  uint32_t queue_family = 0;
  FloatControls float_controls;
  bool has_dot_product = false;           // packed int8
  bool dot_product_is_extension = false;  // before Vulkan 1.3
  bool shares_memory = false;             // with the host
  CooperativeMatrix matrix;               // int8

  bool is_software() const { return properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU; }
};

// The caller's own. LOWBIT_UNAVAILABLE if it cannot serve.
Status adopt_device(VkInstance instance, VkPhysicalDevice handle, PhysicalDevice* device);

// LOWBIT_INVALID_ARGUMENT for a family that the device lacks or that has no compute.
Status check_queue_family(VkPhysicalDevice device, uint32_t family);

// Those that can serve, in Vulkan's order; LOWBIT_UNAVAILABLE with "no_driver: ..." or "no_device: ...".
// `refused`: why others cannot, a sentence for each.
Status list_devices(std::vector<PhysicalDevice>* devices, std::string* refused);

}  // namespace lowbit::core::vulkan
