#include "instance.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <mutex>

#include "vulkan_device.h"

namespace lowbit::core::vulkan {
namespace {

std::mutex mutex;        // of all that is loaded
bool is_loaded = false;  // the functions of instances, which serve every instance of the loader

Status load_loader() {
  if (is_loaded || volkInitialize() == VK_SUCCESS) return {};
  return unavailable(LOWBIT_FALLBACK_NO_DRIVER, "the Vulkan loader (libvulkan.so.1) cannot be loaded");
}

void load_functions(VkInstance instance) {
  if (!is_loaded) volkLoadInstanceOnly(instance);
  is_loaded = true;
}

// A function that only some instances have.
template <typename Function>
void load(VkInstance instance, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(vkGetInstanceProcAddr(instance, name));
}

// Of the device, or of instances where it is VK_NULL_HANDLE.
bool has_extension(VkPhysicalDevice device, const char* name) {
  const auto list = [&](uint32_t* count, VkExtensionProperties* all) {
    device == VK_NULL_HANDLE ? vkEnumerateInstanceExtensionProperties(nullptr, count, all)
                             : vkEnumerateDeviceExtensionProperties(device, nullptr, count, all);
  };
  uint32_t count = 0;
  list(&count, nullptr);
  std::vector<VkExtensionProperties> all(count);
  list(&count, all.data());
  return std::any_of(all.begin(), all.end(),
                     [&](const auto& extension) { return std::strcmp(extension.extensionName, name) == 0; });
}

// One for the process, made when it is first asked for and kept to its end: some drivers do not survive being unloaded.
// Its debug utils are enabled, which cost nothing.
Status instance(VkInstance* made, Labels* labels) {
  static VkInstance kept = VK_NULL_HANDLE;
  static Labels kept_labels;
  const std::lock_guard lock(mutex);
  if (kept == VK_NULL_HANDLE) {
    LOWBIT_TRY(load_loader());
    if (volkGetInstanceVersion() < VK_API_VERSION_1_2) {
      return unavailable(LOWBIT_FALLBACK_DRIVER_TOO_OLD, "the Vulkan loader is older than Vulkan 1.2");
    }
    const VkApplicationInfo application{.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                        .pEngineName = "lowbit",
                                        .apiVersion = std::min(volkGetInstanceVersion(), VK_API_VERSION_1_3)};
    const char* const utils = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
    const VkInstanceCreateInfo info{.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                    .pApplicationInfo = &application,
                                    .enabledExtensionCount = has_extension(VK_NULL_HANDLE, utils) ? 1u : 0u,
                                    .ppEnabledExtensionNames = &utils};
    VkInstance created = VK_NULL_HANDLE;
    // Without devices this fails in as many ways as there are broken drivers.
    if (const VkResult result = vkCreateInstance(&info, nullptr, &created); result != VK_SUCCESS) {
      return unavailable(LOWBIT_FALLBACK_NO_DRIVER, "vkCreateInstance gave " + name_of(result), result);
    }
    load_functions(created);
    kept = created;
    if (info.enabledExtensionCount != 0) {
      load(created, "vkCmdBeginDebugUtilsLabelEXT", &kept_labels.begin);
      load(created, "vkCmdEndDebugUtilsLabelEXT", &kept_labels.end);
    }
  }
  *made = kept;
  *labels = kept_labels;
  return {};
}

std::string uuid_text(const uint8_t (&uuid)[VK_UUID_SIZE]) {
  std::string text;
  for (int i = 0; i < static_cast<int>(VK_UUID_SIZE); ++i) {
    text += fmt::format("{}{:02x}", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
  }
  return text;
}

std::vector<VkQueueFamilyProperties> queue_families(VkPhysicalDevice device) {
  uint32_t count = 0;
  vkGetPhysicalDeviceQueueFamilyProperties(device, &count, nullptr);
  std::vector<VkQueueFamilyProperties> families(count);
  vkGetPhysicalDeviceQueueFamilyProperties(device, &count, families.data());
  return families;
}

bool has_compute(const VkQueueFamilyProperties& family) { return (family.queueFlags & VK_QUEUE_COMPUTE_BIT) != 0; }

// One with compute; better one that does nothing else.
bool find_queue(PhysicalDevice* device) {
  const std::vector<VkQueueFamilyProperties> families = queue_families(device->handle);
  bool found = false;
  for (uint32_t i = 0; i < families.size(); ++i) {
    if (!has_compute(families[i])) continue;
    const bool is_apart = (families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT) == 0;
    if (!found || is_apart) device->queue_family = i;
    found = true;
    if (is_apart) break;
  }
  if (found) device->timestamp_bits = families[device->queue_family].timestampValidBits;
  return found;
}

// Whether the driver reads the device's clock and CLOCK_MONOTONIC, which is steady_clock, at once.
bool can_calibrate(VkPhysicalDevice device) {
  if (vkGetPhysicalDeviceCalibrateableTimeDomainsEXT == nullptr ||
      !has_extension(device, VK_EXT_CALIBRATED_TIMESTAMPS_EXTENSION_NAME)) {
    return false;
  }
  uint32_t count = 0;
  vkGetPhysicalDeviceCalibrateableTimeDomainsEXT(device, &count, nullptr);
  std::vector<VkTimeDomainEXT> domains(count);
  vkGetPhysicalDeviceCalibrateableTimeDomainsEXT(device, &count, domains.data());
  const auto has = [&](VkTimeDomainEXT domain) {
    return std::find(domains.begin(), domains.end(), domain) != domains.end();
  };
  return has(VK_TIME_DOMAIN_DEVICE_EXT) && has(VK_TIME_DOMAIN_CLOCK_MONOTONIC_EXT);
}

// Empty, or why the device cannot serve.
std::string describe(VkPhysicalDevice handle, PhysicalDevice* device) {
  device->handle = handle;
  vkGetPhysicalDeviceProperties(handle, &device->properties);
  const VkPhysicalDeviceProperties& properties = device->properties;
  if (properties.apiVersion < VK_API_VERSION_1_2) {
    return fmt::format("'{}' offers Vulkan {}.{}, lowbit needs 1.2", properties.deviceName,
                       VK_API_VERSION_MAJOR(properties.apiVersion), VK_API_VERSION_MINOR(properties.apiVersion));
  }
  if (properties.limits.maxPerStageDescriptorStorageBuffers < VulkanDevice::kMostBindings) {
    return fmt::format("'{}' binds {} storage buffers, lowbit needs {}", properties.deviceName,
                       properties.limits.maxPerStageDescriptorStorageBuffers, VulkanDevice::kMostBindings);
  }
  if (!find_queue(device)) return fmt::format("'{}' has no compute", properties.deviceName);

  VkPhysicalDeviceVulkan12Properties properties12{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES};
  VkPhysicalDeviceIDProperties id{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES, .pNext = &properties12};
  VkPhysicalDeviceProperties2 properties2{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &id};
  vkGetPhysicalDeviceProperties2(handle, &properties2);
  device->uuid = uuid_text(id.deviceUUID);
  device->float_controls = {
      .rounds_to_nearest = properties12.shaderRoundingModeRTEFloat32 != 0,
      .keeps_signed_zero_inf_nan = properties12.shaderSignedZeroInfNanPreserveFloat32 != 0,
      .keeps_subnormals = properties12.shaderDenormPreserveFloat32 != 0,
  };

  device->dot_product_is_extension = std::min(volkGetInstanceVersion(), properties.apiVersion) < VK_API_VERSION_1_3;
  if (!device->dot_product_is_extension || has_extension(handle, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME)) {
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot{
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES};
    VkPhysicalDeviceFeatures2 features{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &dot};
    vkGetPhysicalDeviceFeatures2(handle, &features);
    device->has_dot_product = dot.shaderIntegerDotProduct != 0;
  }

  device->has_calibration = can_calibrate(handle);
  if (has_extension(handle, VK_NV_COOPERATIVE_MATRIX_EXTENSION_NAME)) device->matrix = find_matrix(handle);

  VkPhysicalDeviceMemoryProperties memory{};
  vkGetPhysicalDeviceMemoryProperties(handle, &memory);
  for (uint32_t i = 0; i < memory.memoryHeapCount; ++i) {
    if ((memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0) {
      device->memory_size += memory.memoryHeaps[i].size;
    }
  }
  device->shares_memory = properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU ||
                          properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU;
  return "";
}

// Every one, in Vulkan's order.
Status enumerate(VkInstance made, std::vector<VkPhysicalDevice>* handles) {
  uint32_t count = 0;
  VkResult result = vkEnumeratePhysicalDevices(made, &count, nullptr);
  if (result == VK_SUCCESS) {
    handles->resize(count);
    result = vkEnumeratePhysicalDevices(made, &count, handles->data());
    handles->resize(count);
  }
  if (result != VK_SUCCESS && result != VK_INCOMPLETE) {
    return unavailable(LOWBIT_FALLBACK_NO_DEVICE, "listing the devices gave " + name_of(result), result);
  }
  return {};
}

}  // namespace

Status adopt_device(VkInstance made, VkPhysicalDevice handle, PhysicalDevice* device) {
  {
    const std::lock_guard lock(mutex);
    LOWBIT_TRY(load_loader());
    load_functions(made);
  }
  std::vector<VkPhysicalDevice> handles;
  LOWBIT_TRY(enumerate(made, &handles));
  const auto found = std::find(handles.begin(), handles.end(), handle);
  if (found == handles.end()) {
    return {LOWBIT_INVALID_ARGUMENT, "device_open: options.vulkan.physical_device is none of options.vulkan.instance"};
  }
  device->index = static_cast<uint32_t>(found - handles.begin());
  const std::string why_not = describe(handle, device);
  return why_not.empty() ? Status() : unavailable(LOWBIT_FALLBACK_FEATURE_MISSING, why_not);
}

Status set_queue_family(uint32_t family, PhysicalDevice* device) {
  const std::vector<VkQueueFamilyProperties> families = queue_families(device->handle);
  if (family < families.size() && has_compute(families[family])) {
    device->queue_family = family;
    device->timestamp_bits = families[family].timestampValidBits;
    return {};
  }
  std::string allowed;
  for (uint32_t i = 0; i < families.size(); ++i) {
    if (has_compute(families[i])) allowed += fmt::format("{}{}", allowed.empty() ? "" : ", ", i);
  }
  return {LOWBIT_INVALID_ARGUMENT,
          fmt::format("device_open: options.vulkan.queue_family is {}, it may be {}", family, allowed)};
}

Status list_devices(std::vector<PhysicalDevice>* devices, std::string* refused) {
  VkInstance made = VK_NULL_HANDLE;
  Labels labels;
  LOWBIT_TRY(instance(&made, &labels));
  std::vector<VkPhysicalDevice> handles;
  LOWBIT_TRY(enumerate(made, &handles));
  if (handles.empty()) return unavailable(LOWBIT_FALLBACK_NO_DEVICE, "Vulkan has no device");
  for (uint32_t i = 0; i < handles.size(); ++i) {
    PhysicalDevice device;
    device.index = i;
    device.labels = labels;
    const std::string why_not = describe(handles[i], &device);
    if (why_not.empty()) {
      devices->push_back(std::move(device));
    } else {
      *refused += (refused->empty() ? "" : "; ") + why_not;
    }
  }
  return {};
}

}  // namespace lowbit::core::vulkan
