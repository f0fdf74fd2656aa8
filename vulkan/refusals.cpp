#include "refusals.h"

#include <utility>

#include "vulkan_stream.h"

namespace lowbit::core::vulkan {

Refusals::~Refusals() { stream_.vulkan_device().free(memory_); }

Status Refusals::watch(Sentence sentence, Range* slot) {
  if (memory_.buffer == VK_NULL_HANDLE) {
    LOWBIT_TRY(stream_.vulkan_device().allocate(kSlots * kSlotWords * sizeof(uint32_t),
                                                VulkanDevice::MemoryKind::download, &memory_));
  }
  if (watched_.size() == kSlots) {             // the oldest call has long run, or the host is far ahead
    const uint64_t value = watched_[1].value;  // by then all of it was recorded
    if (!stream_.timeline().has_reached(value)) {
      LOWBIT_TRY(stream_.flush());
      LOWBIT_TRY(stream_.wait(value));
    }
    read(watched_.front());
    watched_.pop_front();
  }
  VkCommandBuffer commands = VK_NULL_HANDLE;
  LOWBIT_TRY(stream_.commands(&commands));  // opens the batch whose value the call's work signals
  auto* words = reinterpret_cast<uint32_t*>(memory_.mapped) + next_ * kSlotWords;
  for (size_t i = 0; i < kSlotWords; ++i) words[i] = kNothing;
  *slot = {memory_.buffer, next_ * kSlotWords * sizeof(uint32_t), kSlotWords * sizeof(uint32_t)};
  watched_.push_back({next_, stream_.timeline().recorded, sentence});
  next_ = (next_ + 1) % kSlots;
  return {};
}

void Refusals::read(const Watch& watch) {
  auto* words = reinterpret_cast<uint32_t*>(memory_.mapped) + watch.slot * kSlotWords;
  for (size_t i = 0; i < kSlotWords && first_.ok(); ++i) {
    if (words[i] == kNothing) continue;
    first_ = {LOWBIT_INVALID_ARGUMENT, watch.sentence(static_cast<int>(i), words[i])};
    words[i] = kNothing;  // told
  }
}

Status Refusals::take(bool has_run) {
  for (const Watch& watch : watched_) read(watch);
  if (has_run) watched_.clear();
  return std::exchange(first_, Status());
}

}  // namespace lowbit::core::vulkan
