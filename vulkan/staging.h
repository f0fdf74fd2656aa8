// Copies between host memory and device memory that the host cannot reach, by way of buffers that it can. Uploads fill
// one slot while the other travels; downloads wait. And the room for samples.
#pragma once

#include "vulkan_device.h"

namespace lowbit::core::vulkan {

class VulkanStream;
struct Range;

class Staging {
 public:
  explicit Staging(VulkanStream& stream) : stream_(stream) {}
  ~Staging();  // the copies have run
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // Enqueues a copy; `host` has been read when this returns.
  Status upload(const Range& to, const std::byte* host);
  // `host` has been written when this returns.
  Status download(const Range& from, std::byte* host);
  // Enqueues Stream::fetch()'s copies.
  Status fetch(size_t at, MemoryRows* rows);

 private:
  static constexpr size_t kSlotBytes = size_t{4} << 20;
  struct Slot {
    VulkanDevice::Allocation memory;
    size_t used = 0;
    uint64_t value = 0;  // that the last work which reads it signals
  };
  Status room(size_t size, Slot** slot);
  Status copy(VkBuffer from, VkBuffer to, std::span<const VkBufferCopy> regions);

  VulkanStream& stream_;
  Slot uploads_[2];
  int turn_ = 0;
  VulkanDevice::Allocation download_, samples_;
};

}  // namespace lowbit::core::vulkan
