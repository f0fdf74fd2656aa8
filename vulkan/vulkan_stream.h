// A Vulkan stream. Operations are recorded into a command buffer, many into one, since a submission costs as much as
// ten launches of CUDA; it is submitted by flush(), when it is full, and when the host waits for its results. A batch
// is such a command buffer with the descriptor sets of its dispatches; a few of them take turns, so that a repeated
// call allocates nothing.
#pragma once

#include "refusals.h"
#include "staging.h"
#include "timestamps.h"
#include "vulkan_device.h"

namespace lowbit::core::vulkan {

// Bytes of a buffer that a kernel reads or writes.
struct Range {
  VkBuffer buffer = VK_NULL_HANDLE;
  uint64_t offset = 0, size = 0;
};

class VulkanStream final : public core::Stream {
 public:
  // `own`: the caller's command buffer, into which all is recorded, instead of the stream's.
  explicit VulkanStream(std::shared_ptr<core::Device> device, VkCommandBuffer own = VK_NULL_HANDLE);
  Status initialize();
  ~VulkanStream() override;

  VulkanDevice& vulkan_device() const { return static_cast<VulkanDevice&>(device()); }

  Status copy_to_device(void* data, uint64_t offset, const void* host, size_t size) override;
  Status copy_to_host(void* host, const void* data, uint64_t offset, size_t size) override;
  Status fetch(size_t at, MemoryRows* rows) override { return staging_.fetch(at, rows); }
  Status flush() override;
  Status synchronize() override;
  void* native() const override { return own_; }
  DeviceTimes* times(Profiler& profiler) override;

  // Makes the next work wait for all before it.
  void order() { is_ordered_ = false; }
  // The command buffer in progress; behind a barrier if order() was called since the last.
  Status commands(VkCommandBuffer* commands);
  // Counts a dispatch, and submits when there are enough.
  Status count_dispatch();
  // A set of the batch's own over these buffers, at offsets that are aligned.
  Status descriptor_set(uint32_t bindings, const VkDescriptorBufferInfo* buffers, VkDescriptorSet* set);

  Refusals& refusals() { return refusals_; }
  Timeline& timeline() { return *timeline_; }
  // Waits until the work that signals `value` has run.
  Status wait(uint64_t value);
  // A fault that no later call survives stays with the stream.
  Status attempt(VkResult result, const char* what);

 private:
  static constexpr int kBatches = 4;
  // Of 50 ms at most each (Limits::work): drivers kill submissions of more than 2 s.
  static constexpr int kMostDispatches = 32;
  static constexpr uint32_t kSetsOfPool = 32;
  struct Sets {
    std::vector<VkDescriptorPool> pools;
    std::vector<VkDescriptorSet> sets;
    size_t used = 0;
  };
  struct Batch {
    VkCommandBuffer commands = VK_NULL_HANDLE;
    uint64_t value = 0;  // that it signals, or has signalled
    Sets sets[VulkanDevice::kMostBindings];
  };
  Status open();
  Status create_batches();
  bool is_idle() const;

  const VkCommandBuffer own_;
  std::shared_ptr<Timeline> timeline_;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  Batch batches_[kBatches];
  int turn_ = 0;
  bool is_open_ = false;  // the batch whose turn it is
  bool is_ordered_ = true;
  int dispatches_ = 0;
  Staging staging_;
  Refusals refusals_;
  std::unique_ptr<Timestamps> times_;  // once it was measured
};

}  // namespace lowbit::core::vulkan
