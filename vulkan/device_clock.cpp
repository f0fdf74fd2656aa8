// How a Vulkan device's clock is put beside the host's.
#include "device_clock.h"

#include <fmt/format.h>

#include "vulkan_stream.h"

namespace lowbit::core::vulkan {

Status VulkanDevice::start_clock() {
  LOWBIT_TRY(lost());
  if (physical_.timestamp_bits == 0) {
    return {LOWBIT_UNSUPPORTED, fmt::format("profile_start: feature_missing: queue family {} of '{}' has no timestamps",
                                            physical_.queue_family, physical_.properties.deviceName)};
  }
  clock_.set_up(physical_.timestamp_bits, double{physical_.properties.limits.timestampPeriod});
  if (!has_calibration_) return start_clock_by_submission();
  const VkCalibratedTimestampInfoEXT clocks[2] = {
      {.sType = VK_STRUCTURE_TYPE_CALIBRATED_TIMESTAMP_INFO_EXT, .timeDomain = VK_TIME_DOMAIN_DEVICE_EXT},
      {.sType = VK_STRUCTURE_TYPE_CALIBRATED_TIMESTAMP_INFO_EXT, .timeDomain = VK_TIME_DOMAIN_CLOCK_MONOTONIC_EXT}};
  uint64_t shown[2] = {}, deviation = 0;
  LOWBIT_TRY(attempt(vk.vkGetCalibratedTimestampsEXT(device_, 2, clocks, shown, &deviation), "reading two clocks"));
  clock_.set(shown[0], DeviceClock::Host::time_point(std::chrono::nanoseconds(shown[1])));
  return {};
}

// The host knows of a timestamp when it has waited for it, so kernels are shown late by that wait; twice, since the first
// may wake the device.
Status VulkanDevice::start_clock_by_submission() {
  VulkanStream stream(shared_from_this());
  LOWBIT_TRY(stream.initialize());
  const VkQueryPoolCreateInfo info{
      .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO, .queryType = VK_QUERY_TYPE_TIMESTAMP, .queryCount = 1};
  VkQueryPool query = VK_NULL_HANDLE;
  LOWBIT_TRY(attempt(vk.vkCreateQueryPool(device_, &info, nullptr, &query), "creating a query pool"));
  const auto set = [&]() -> Status {
    VkCommandBuffer commands = VK_NULL_HANDLE;
    LOWBIT_TRY(stream.commands(&commands));
    vk.vkCmdResetQueryPool(commands, query, 0, 1);
    vk.vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, query, 0);
    LOWBIT_TRY(stream.synchronize());
    const DeviceClock::Host::time_point now = DeviceClock::Host::now();
    uint64_t ticks = 0;
    LOWBIT_TRY(attempt(
        vk.vkGetQueryPoolResults(device_, query, 0, 1, sizeof(ticks), &ticks, sizeof(ticks), VK_QUERY_RESULT_64_BIT),
        "reading a timestamp"));
    clock_.set(ticks, now);
    return {};
  };
  Status status = set();
  if (status.ok()) status = set();
  if (!status.ok()) wait_idle();
  vk.vkDestroyQueryPool(device_, query, nullptr);
  return status;
}

void VulkanDevice::begin_label(VkCommandBuffer commands, const char* name) const {
  if (labels.begin == nullptr) return;
  const VkDebugUtilsLabelEXT label{.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_LABEL_EXT, .pLabelName = name};
  labels.begin(commands, &label);
}

void VulkanDevice::end_label(VkCommandBuffer commands) const {
  if (labels.end != nullptr) labels.end(commands);
}

}  // namespace lowbit::core::vulkan
