#include "staging.h"

#include <algorithm>
#include <cstring>

#include "vulkan_stream.h"

namespace lowbit::core::vulkan {

Staging::~Staging() {
  for (const Slot& slot : uploads_) stream_.vulkan_device().free(slot.memory);
  stream_.vulkan_device().free(download_);
  stream_.vulkan_device().free(samples_);
}

// The slot whose turn it is if `size` bytes fit behind those that are used; else the other one, once it was read.
Status Staging::room(size_t size, Slot** slot) {
  if (kSlotBytes - uploads_[turn_].used < size) {
    LOWBIT_TRY(stream_.flush());
    LOWBIT_TRY(stream_.wait(uploads_[1 - turn_].value));
    turn_ = 1 - turn_;
    uploads_[turn_].used = 0;
  }
  Slot& chosen = uploads_[turn_];
  if (chosen.memory.buffer == VK_NULL_HANDLE) {
    LOWBIT_TRY(stream_.vulkan_device().allocate(kSlotBytes, VulkanDevice::MemoryKind::upload, &chosen.memory));
  }
  *slot = &chosen;
  return {};
}

Status Staging::copy(VkBuffer from, VkBuffer to, std::span<const VkBufferCopy> regions) {
  stream_.order();
  VkCommandBuffer commands = VK_NULL_HANDLE;
  LOWBIT_TRY(stream_.commands(&commands));
  stream_.vulkan_device().vk.vkCmdCopyBuffer(commands, from, to, static_cast<uint32_t>(regions.size()), regions.data());
  stream_.order();
  return {};
}

Status Staging::upload(const Range& to, const std::byte* host) {
  for (uint64_t at = 0; at < to.size; at += kSlotBytes) {
    const size_t part = std::min<uint64_t>(kSlotBytes, to.size - at);
    Slot* slot = nullptr;
    LOWBIT_TRY(room(part, &slot));
    std::memcpy(slot->memory.mapped + slot->used, host + at, part);
    const VkBufferCopy region{slot->used, to.offset + at, part};
    LOWBIT_TRY(copy(slot->memory.buffer, to.buffer, {&region, 1}));
    slot->used += part;
    slot->value = stream_.timeline().recorded;
  }
  return {};
}

Status Staging::download(const Range& from, std::byte* host) {
  if (download_.buffer == VK_NULL_HANDLE) {
    LOWBIT_TRY(stream_.vulkan_device().allocate(kSlotBytes, VulkanDevice::MemoryKind::download, &download_));
  }
  for (uint64_t at = 0; at < from.size; at += kSlotBytes) {
    const size_t part = std::min<uint64_t>(kSlotBytes, from.size - at);
    const VkBufferCopy region{from.offset + at, 0, part};
    LOWBIT_TRY(copy(from.buffer, download_.buffer, {&region, 1}));
    LOWBIT_TRY(stream_.flush());
    LOWBIT_TRY(stream_.wait(stream_.timeline().recorded));
    std::memcpy(host + at, download_.mapped, part);
  }
  return {};
}

Status Staging::fetch(size_t at, MemoryRows* rows) {
  if (samples_.buffer == VK_NULL_HANDLE) {
    LOWBIT_TRY(stream_.vulkan_device().allocate(Stream::kSampleRoom, VulkanDevice::MemoryKind::download, &samples_));
  }
  std::vector<VkBufferCopy> regions;
  for (size_t i = 0; i < rows->count; ++i)
    regions.push_back({rows->offset + i * rows->pitch, at + i * rows->size, rows->size});
  LOWBIT_TRY(copy(buffer_of(rows->data), samples_.buffer, regions));
  *rows = {samples_.mapped, at, rows->size, rows->size, rows->count};
  return {};
}

}  // namespace lowbit::core::vulkan
