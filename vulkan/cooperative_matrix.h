// Int8 cooperative matrices of VK_NV_cooperative_matrix: what shaders/project_coopmat.comp asks of a device. Those of
// VK_KHR_cooperative_matrix wait for a glslang that compiles them.
#pragma once

#include <span>

#include "vk.h"

namespace lowbit::core::vulkan {

// A product of an M x K matrix by a K x N one, both int8, by a subgroup into int32; M is 0 where there is none.
struct CooperativeMatrix {
  uint32_t M = 0, N = 0, K = 0;
  uint32_t subgroup_size = 0;

  bool is_there() const { return M != 0; }
  // Of a workgroup, a subgroup for each part of a tile.
  static constexpr uint32_t kSubgroups = 8;
  uint32_t group_size() const { return kSubgroups * subgroup_size; }
};

// The best of those that a device lists, which come best first; all 0 where none is of use.
CooperativeMatrix choose_matrix(std::span<const VkCooperativeMatrixPropertiesNV> listed);

// What the device has, which must have the extension, with all that the shader needs beside it.
CooperativeMatrix find_matrix(VkPhysicalDevice device);

}  // namespace lowbit::core::vulkan
