// The driver's compiled pipelines, kept on disk between runs: <cache folder>/lowbit/vulkan-<vendor>-<device>-<driver
// version>-<pipelineCacheUUID>.bin under XDG_CACHE_HOME or ~/.cache. LOWBIT_PIPELINE_CACHE=off turns it off. It only
// saves time: a file that is damaged, foreign or cannot be written is left alone.
#pragma once

#include <cstddef>
#include <vector>

#include "vk.h"

namespace lowbit::core::vulkan {

// Empty where there is none that is whole.
std::vector<std::byte> read_pipeline_cache(const VkPhysicalDeviceProperties& device);

// Written by an atomic rename, where it has grown past `size_read`.
void write_pipeline_cache(const VolkDeviceTable& vk, VkDevice handle, VkPipelineCache cache, size_t size_read,
                          const VkPhysicalDeviceProperties& device) noexcept;

}  // namespace lowbit::core::vulkan
