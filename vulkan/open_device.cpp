#include "open_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "text.h"

namespace lowbit::core::vulkan {
namespace {

std::string lower(std::string_view text) {
  std::string lowered(text);
  for (char& c : lowered) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lowered;
}

// "0: NVIDIA H200, 1: llvmpipe (LLVM 15.0.6, 256 bits)"
std::string listing(const std::vector<PhysicalDevice>& devices) {
  std::string text;
  for (const PhysicalDevice& device : devices) {
    text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", device.index, device.properties.deviceName);
  }
  return text.empty() ? "none" : text;
}

// How much a device is worth that nobody asked for by name; 0: nothing.
int rank(const PhysicalDevice& device) {
  switch (device.properties.deviceType) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
      return 4;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
      return 3;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
      return 2;
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
      return 0;
    default:
      return 1;
  }
}

// The index of a device, or else a UUID or a part of a name. Software is opened by one of these two only.
const PhysicalDevice* find(const std::vector<PhysicalDevice>& devices, std::string_view wanted) {
  const bool is_index = std::any_of(devices.begin(), devices.end(), [&](const PhysicalDevice& device) {
    return wanted == std::to_string(device.index);
  });
  for (const PhysicalDevice& device : devices) {
    const bool is_it = is_index ? wanted == std::to_string(device.index) && !device.is_software()
                                : lower(device.uuid) == lower(wanted) ||
                                      lower(device.properties.deviceName).find(lower(wanted)) != std::string::npos;
    if (is_it) return &device;
  }
  return nullptr;
}

Status choose(const char* wanted, PhysicalDevice* chosen) {
  std::vector<PhysicalDevice> devices;
  std::string refused;
  LOWBIT_TRY(list_devices(&devices, &refused));
  if (devices.empty()) return unavailable(LOWBIT_FALLBACK_FEATURE_MISSING, refused);
  const PhysicalDevice* found = nullptr;
  if (wanted != nullptr && *wanted != '\0') {
    found = find(devices, wanted);
    if (found == nullptr) {
      return unavailable(LOWBIT_FALLBACK_NO_DEVICE,
                         fmt::format("there is no Vulkan device '{}' (an index, a UUID or a part of a name; software "
                                     "devices go by name); there is {}",
                                     wanted, listing(devices)));
    }
  } else {
    found = &*std::max_element(devices.begin(), devices.end(),
                               [](const auto& a, const auto& b) { return rank(a) < rank(b); });
    if (rank(*found) == 0) {
      return unavailable(LOWBIT_FALLBACK_NO_DEVICE,
                         fmt::format("Vulkan has only software here, which is opened by name: LOWBIT_VULKAN_DEVICE={}",
                                     std::string_view(found->properties.deviceName).substr(0, 8)));
    }
  }
  *chosen = *found;
  return {};
}

}  // namespace

Status open_device(const lowbit_device_options& options, std::span<const KernelRow> kernels, const Pretence& pretence,
                   std::shared_ptr<Device>* device) {
  PhysicalDevice physical;
  if (const lowbit_vulkan_handles* own = options.vulkan; own != nullptr) {
    LOWBIT_TRY(adopt_device(static_cast<VkInstance>(own->instance), static_cast<VkPhysicalDevice>(own->physical_device),
                            &physical));
    LOWBIT_TRY(set_queue_family(own->queue_family, &physical));
    physical.has_dot_product = (own->features & LOWBIT_FEATURE_DOT_INT8) != 0;
    physical.has_calibration = false;  // it was not enabled, for all that is known here
    if ((own->features & LOWBIT_FEATURE_COOPMAT_INT8) == 0) physical.matrix = {};
  } else {
    LOWBIT_TRY(choose(options.device != nullptr ? options.device : std::getenv("LOWBIT_VULKAN_DEVICE"), &physical));
  }
  lowbit_device_info info{};
  info.struct_size = sizeof(info);
  info.features = pretence.features;
  if (physical.has_dot_product) info.features |= LOWBIT_FEATURE_DOT_INT8;
  if (physical.matrix.is_there()) info.features |= LOWBIT_FEATURE_COOPMAT_INT8;
  if (physical.float_controls.all()) info.features |= LOWBIT_FEATURE_EXACT_F32;
  info.features &= ~options.disabled_features;
  info.memory_size = physical.memory_size;
  copy_text(info.backend, "vulkan");
  copy_text(info.name, physical.properties.deviceName);
  copy_text(info.isa, fmt::format("vulkan{}.{}", VK_API_VERSION_MAJOR(physical.properties.apiVersion),
                                  VK_API_VERSION_MINOR(physical.properties.apiVersion)));
  auto made = std::make_shared<VulkanDevice>(physical, info, kernels, options, pretence);
  LOWBIT_TRY(made->initialize());
  *device = std::move(made);
  return {};
}

Status open_device(const lowbit_device_options& options, std::span<const KernelRow> kernels,
                   std::shared_ptr<Device>* device) {
  return open_device(options, kernels, {}, device);
}

}  // namespace lowbit::core::vulkan
