#include "cooperative_matrix.h"

#include <algorithm>
#include <vector>

namespace lowbit::core::vulkan {
namespace {

bool has_features(VkPhysicalDevice device) {
  VkPhysicalDeviceCooperativeMatrixFeaturesNV matrices{
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_NV};
  VkPhysicalDeviceVulkan12Features features12{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
                                              .pNext = &matrices};
  VkPhysicalDeviceFeatures2 features{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &features12};
  vkGetPhysicalDeviceFeatures2(device, &features);
  return matrices.cooperativeMatrix != 0 && features12.shaderInt8 != 0 && features12.vulkanMemoryModel != 0;
}

// What the parts of a tile and its lines are cut into: shaders/project_coopmat.comp.
bool is_one_of(uint32_t size, std::initializer_list<uint32_t> sizes) {
  return std::find(sizes.begin(), sizes.end(), size) != sizes.end();
}

bool is_usable(const VkCooperativeMatrixPropertiesNV& listed) {
  return listed.AType == VK_COMPONENT_TYPE_SINT8_NV && listed.BType == VK_COMPONENT_TYPE_SINT8_NV &&
         listed.CType == VK_COMPONENT_TYPE_SINT32_NV && listed.DType == VK_COMPONENT_TYPE_SINT32_NV &&
         listed.scope == VK_SCOPE_SUBGROUP_NV && is_one_of(listed.MSize, {8, 16}) &&
         is_one_of(listed.NSize, {8, 16, 32}) && is_one_of(listed.KSize, {16, 32, 64});
}

}  // namespace

CooperativeMatrix choose_matrix(std::span<const VkCooperativeMatrixPropertiesNV> listed) {
  const auto found = std::find_if(listed.begin(), listed.end(), is_usable);
  return found == listed.end() ? CooperativeMatrix{} : CooperativeMatrix{found->MSize, found->NSize, found->KSize};
}

CooperativeMatrix find_matrix(VkPhysicalDevice device) {
  if (!has_features(device) || vkGetPhysicalDeviceCooperativeMatrixPropertiesNV == nullptr) return {};
  VkPhysicalDeviceCooperativeMatrixPropertiesNV matrices{
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_PROPERTIES_NV};
  VkPhysicalDeviceSubgroupProperties subgroups{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES,
                                               .pNext = &matrices};
  VkPhysicalDeviceProperties2 properties{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &subgroups};
  vkGetPhysicalDeviceProperties2(device, &properties);
  const VkPhysicalDeviceLimits& limits = properties.properties.limits;
  if ((matrices.cooperativeMatrixSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) == 0) return {};

  const VkCooperativeMatrixPropertiesNV empty{.sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_NV};
  uint32_t count = 0;
  if (vkGetPhysicalDeviceCooperativeMatrixPropertiesNV(device, &count, nullptr) != VK_SUCCESS) return {};
  std::vector<VkCooperativeMatrixPropertiesNV> listed(count, empty);
  if (vkGetPhysicalDeviceCooperativeMatrixPropertiesNV(device, &count, listed.data()) < 0) return {};
  listed.resize(count);
  CooperativeMatrix matrix = choose_matrix(listed);
  matrix.subgroup_size = subgroups.subgroupSize;
  const bool has_room =
      matrix.group_size() <= std::min(limits.maxComputeWorkGroupInvocations, limits.maxComputeWorkGroupSize[0]);
  return matrix.is_there() && has_room ? matrix : CooperativeMatrix{};
}

}  // namespace lowbit::core::vulkan
