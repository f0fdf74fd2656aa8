#include "recording.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace lowbit::core::vulkan {

Status Recording::dispatch(const Shader& shader, const Constants& constants, std::initializer_list<Range> ranges,
                           const void* push, size_t push_size, int64_t groups) {
  VulkanDevice& device = stream_.vulkan_device();
  Pipeline pipeline;
  LOWBIT_TRY(device.pipeline(shader, constants, &pipeline));
  VkCommandBuffer commands = VK_NULL_HANDLE;
  LOWBIT_TRY(stream_.commands(&commands));

  VkDescriptorBufferInfo buffers[VulkanDevice::kMostBindings];
  uint32_t words[VulkanDevice::kPushBytes / sizeof(uint32_t)];
  uint32_t bindings = 0;
  for (const Range& range : ranges) {
    const uint64_t origin = range.offset % device.limits().alignment;
    const uint64_t size = (origin + range.size + 3) / 4 * 4;
    buffers[bindings] = {range.buffer, range.offset - origin, size};
    words[bindings++] = static_cast<uint32_t>(origin);
  }
  VkDescriptorSet set = VK_NULL_HANDLE;
  LOWBIT_TRY(stream_.descriptor_set(bindings, buffers, &set));
  std::memcpy(words + bindings, push, push_size);

  device.vk.vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.pipeline);
  device.vk.vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.layout, 0, 1, &set, 0, nullptr);
  device.vk.vkCmdPushConstants(commands, pipeline.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                               static_cast<uint32_t>(bindings * sizeof(uint32_t) + push_size), words);
  const int64_t most = device.limits().groups, across = std::min(groups, most);
  device.vk.vkCmdDispatch(commands, static_cast<uint32_t>(across), static_cast<uint32_t>(ceil_div(groups, across)), 1);
  return stream_.count_dispatch();
}

Status Recording::check_count(int64_t values) const {
  if (values < UINT32_MAX) return {};
  return {LOWBIT_UNSUPPORTED,
          fmt::format("{}: a tensor of {} values, the vulkan backend takes less than 2^32", operation_, values)};
}

}  // namespace lowbit::core::vulkan
