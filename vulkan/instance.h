// The process's Vulkan instance and the devices it lists.
#pragma once

#include <string>
#include <vector>

#include "cooperative_matrix.h"
#include "error.h"
#include "shader.h"

namespace lowbit::core::vulkan {

// Names around commands, for graphics debuggers; NULL where the instance has no VK_EXT_debug_utils.
struct Labels {
  PFN_vkCmdBeginDebugUtilsLabelEXT begin = nullptr;
  PFN_vkCmdEndDebugUtilsLabelEXT end = nullptr;
};

// A device that lowbit can use, and what of it decides on how.
struct PhysicalDevice {
  VkPhysicalDevice handle = VK_NULL_HANDLE;
  uint32_t index = 0;  // among all that Vulkan lists
  VkPhysicalDeviceProperties properties{};
  std::string uuid;  // "6d657361-3232-2e33-2e36-000000000000"
  uint64_t memory_size = 0;
  uint32_t queue_family = 0;
  uint32_t timestamp_bits = 0;   // of that family's timestamps; 0: it has none
  bool has_calibration = false;  // of its clock with the host's
  Labels labels;
  FloatControls float_controls;
  bool has_dot_product = false;           // packed int8
  bool dot_product_is_extension = false;  // before Vulkan 1.3
  bool shares_memory = false;             // with the host
  CooperativeMatrix matrix;               // int8

  bool is_software() const { return properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU; }
};

// The caller's own. LOWBIT_UNAVAILABLE if it cannot serve.
Status adopt_device(VkInstance instance, VkPhysicalDevice handle, PhysicalDevice* device);

// Takes the family; LOWBIT_INVALID_ARGUMENT for one that the device lacks or that has no compute.
Status set_queue_family(uint32_t family, PhysicalDevice* device);

// Those that can serve, in Vulkan's order; LOWBIT_UNAVAILABLE with "no_driver: ..." or "no_device: ...".
// `refused`: why others cannot, a sentence for each.
Status list_devices(std::vector<PhysicalDevice>* devices, std::string* refused);

}  // namespace lowbit::core::vulkan
