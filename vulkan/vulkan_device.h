// The Vulkan device and stream. A tensor's data is a VkBuffer, of lowbit's or of the caller's, and its offset counts
// bytes in it. Any number of threads may use a device; its queue is locked for each submission.
#pragma once

#include <atomic>
#include <list>
#include <map>
#include <mutex>
#include <set>

#include "codes.h"
#include "device.h"
#include "device_clock.h"
#include "error.h"
#include "instance.h"
#include "shader.h"
#include "timeline.h"

namespace lowbit::core::vulkan {

// What of a device decides on how work is cut. All counts are per dispatch.
struct Limits {
  uint64_t range;      // bytes that a binding reaches
  uint64_t alignment;  // of a binding's offset
  uint32_t groups;     // workgroups along an axis
  int64_t work;        // multiply-adds, or values moved, that take some 50 ms

  // Bytes that a binding reaches wherever they start.
  int64_t reach() const { return static_cast<int64_t>(range - alignment); }
};

// What tests make of a device beside what it is.
struct Pretence {
  uint64_t features = 0;             // lowbit_feature bits it pretends to have
  Limits limits{};                   // where not 0, in the place of the device's
  bool without_host_memory = false;  // the host reaches none but what copies go through
  bool without_timestamps = false;
  bool without_calibration = false;  // of the device's clock by its driver
};

struct PipelineKey {
  const uint32_t* code;
  Constants constants;
  auto operator<=>(const PipelineKey&) const = default;
};

struct Pipeline {
  VkPipeline pipeline = VK_NULL_HANDLE;
  VkPipelineLayout layout = VK_NULL_HANDLE;
  uint32_t bindings = 0;
};

class VulkanDevice final : public core::Device {
 public:
  // Kernels bind at most this many buffers.
  static constexpr uint32_t kMostBindings = 5;
  static constexpr uint32_t kPushBytes = 128;  // that every device has

  VulkanDevice(const PhysicalDevice& physical, lowbit_device_info info, std::span<const KernelRow> kernels,
               const lowbit_device_options& how, const Pretence& pretence);
  Status initialize();
  ~VulkanDevice() override;

  int ordinal() const override { return static_cast<int>(physical_.index); }

  Status allocate(size_t size, void** memory) override;
  void release(void* memory) noexcept override;
  uint64_t memory_reserved() const override { return memory_reserved_; }
  Status create_stream(std::unique_ptr<core::Stream>* stream) override;
  Status wrap_stream(void* native, std::unique_ptr<core::Stream>* stream) override;

  // The device's functions: tests put failing ones in.
  VolkDeviceTable vk{};
  Labels labels;
  VkDevice handle() const { return device_; }
  uint32_t queue_family() const { return physical_.queue_family; }
  const Limits& limits() const { return limits_; }
  const CooperativeMatrix& matrix() const { return physical_.matrix; }

  // Whether the VkDevice was handed in, so that others may work on it too.
  bool is_callers() const { return handles_.device != nullptr; }

  // A buffer of lowbit's that the host can reach, and read from its cache: its first byte. NULL for others, and for the
  // caller's.
  enum class HostAccess { read, write };
  std::byte* mapped(VkBuffer buffer, HostAccess access) const;

  struct Allocation {
    VkBuffer buffer = VK_NULL_HANDLE;
    VkDeviceMemory memory = VK_NULL_HANDLE;
    std::byte* mapped = nullptr;
    uint64_t size = 0;       // of the memory
    bool is_cached = false;  // the host reads it at the speed of its own memory
  };
  enum class MemoryKind { device, upload, download };
  Status allocate(size_t size, MemoryKind kind, Allocation* made);
  void free(const Allocation& allocation) noexcept;

  // Made at its first use and kept.
  Status pipeline(const Shader& shader, const Constants& constants, Pipeline* pipeline);
  VkDescriptorSetLayout set_layout(uint32_t bindings) const { return set_layouts_[bindings - 1]; }

  Status submit(VkCommandBuffer commands, const Timeline& timeline, uint64_t value);
  // Waits for all work of all streams, whatever the driver says of it.
  void wait_idle() noexcept;
  void add(std::shared_ptr<Timeline> timeline);
  void remove(const std::shared_ptr<Timeline>& timeline);
  // Frees what was released and has seen its last use.
  void collect() noexcept;

  DeviceClock& clock() { return clock_; }
  void begin_label(VkCommandBuffer commands, const char* name) const;
  void end_label(VkCommandBuffer commands) const;

  // A lost device stays lost: what showed it is what every later call returns.
  Status attempt(VkResult result, const char* what);
  Status lost() const;

 private:
  Status start_clock() override;
  Status start_clock_by_submission();
  // Waits for the last use of what was released, as far as it was submitted.
  void wait_for_retired();
  // The queue is used by one thread at a time, the caller's own among them.
  class QueueLock;
  Status create_stream(VkCommandBuffer own, std::unique_ptr<core::Stream>* stream);
  Status create_device();
  Status create_pipeline(const Shader& shader, const Constants& constants, Pipeline* made);
  Status create_layouts(uint32_t bindings);

  struct Retired {
    Allocation allocation;
    std::vector<std::pair<std::shared_ptr<Timeline>, uint64_t>> uses;
  };

  PhysicalDevice physical_;
  Limits limits_{};
  bool maps_memory_;
  bool has_calibration_;
  DeviceClock clock_;
  VkDevice device_ = VK_NULL_HANDLE;
  VkQueue queue_ = VK_NULL_HANDLE;
  lowbit_vulkan_handles handles_{};  // device is NULL where it is lowbit's own
  VkPhysicalDeviceMemoryProperties memory_types_{};
  VkDescriptorSetLayout set_layouts_[kMostBindings]{};
  VkPipelineLayout layouts_[kMostBindings]{};

  std::mutex queue_mutex_;
  std::mutex pipelines_mutex_;
  VkPipelineCache cache_ = VK_NULL_HANDLE;
  size_t cache_size_ = 0;  // when it was read
  std::map<PipelineKey, Pipeline> pipelines_;

  mutable std::mutex memory_mutex_;
  std::map<VkBuffer, Allocation> allocations_;
  std::list<Retired> retired_;
  std::atomic<uint64_t> memory_reserved_ = 0;
  std::set<std::shared_ptr<Timeline>> timelines_;
  mutable std::mutex lost_mutex_;
  Status lost_;
};

}  // namespace lowbit::core::vulkan
