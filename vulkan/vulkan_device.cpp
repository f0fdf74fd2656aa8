#include "vulkan_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "invalid_argument.h"
#include "kernel_table.h"
#include "pipeline_cache.h"
#include "vulkan_stream.h"

namespace lowbit::core::vulkan {
namespace {

// Work that takes some 50 ms on a slow device of its kind, since drivers kill longer dispatches. Software was measured
// at a quarter of a giga multiply-add a second; hardware is taken for 40 of them where it shares the host's memory,
// 300 else.
int64_t work_of_50_ms(const PhysicalDevice& device) {
  switch (device.properties.deviceType) {
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
      return int64_t{1} << 23;
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
      return int64_t{1} << 34;
    default:
      return int64_t{1} << 31;
  }
}

template <typename T>
void replace(T* value, T pretended) {
  if (pretended != 0) *value = pretended;
}

}  // namespace

// The caller's lock where there is one, and then no other: a thread may hold it already.
class VulkanDevice::QueueLock {
 public:
  explicit QueueLock(VulkanDevice& device) : device_(device) {
    has_callers() ? device_.handles_.lock_queue(device_.handles_.user) : device_.queue_mutex_.lock();
  }
  ~QueueLock() { has_callers() ? device_.handles_.unlock_queue(device_.handles_.user) : device_.queue_mutex_.unlock(); }
  QueueLock(const QueueLock&) = delete;
  QueueLock& operator=(const QueueLock&) = delete;

 private:
  bool has_callers() const { return device_.handles_.lock_queue != nullptr; }
  VulkanDevice& device_;
};

VulkanDevice::VulkanDevice(const PhysicalDevice& physical, lowbit_device_info info, std::span<const KernelRow> kernels,
                           const lowbit_device_options& how, const Pretence& pretence)
    : core::Device(Backend::vulkan, info, kernels, how),
      labels(physical.labels),
      physical_(physical),
      maps_memory_(!pretence.without_host_memory),
      has_calibration_(physical.has_calibration && !pretence.without_calibration) {
  if (how.vulkan != nullptr) handles_ = *how.vulkan;
  if (pretence.without_timestamps) physical_.timestamp_bits = 0;
  const VkPhysicalDeviceLimits& limits = physical.properties.limits;
  limits_ = {
      .range = limits.maxStorageBufferRange,
      .alignment = std::max<VkDeviceSize>(limits.minStorageBufferOffsetAlignment, 16),  // a uvec4's
      .groups = std::min(limits.maxComputeWorkGroupCount[0], limits.maxComputeWorkGroupCount[1]),
      .work = work_of_50_ms(physical),
  };
  replace(&limits_.range, pretence.limits.range);
  replace(&limits_.alignment, pretence.limits.alignment);
  replace(&limits_.groups, pretence.limits.groups);
  limits_.groups = std::min(limits_.groups, 65535u);  // some have no limit, and counts are squared
  replace(&limits_.work, pretence.limits.work);
}

Status VulkanDevice::create_device() {
  const float priority = 1;
  const VkDeviceQueueCreateInfo queue{.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                      .queueFamilyIndex = physical_.queue_family,
                                      .queueCount = 1,
                                      .pQueuePriorities = &priority};
  VkPhysicalDeviceShaderIntegerDotProductFeatures dot{
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES,
      .shaderIntegerDotProduct = VK_TRUE};
  VkPhysicalDeviceCooperativeMatrixFeaturesNV matrices{
      .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_NV, .cooperativeMatrix = VK_TRUE};
  const VkBool32 has_matrices = physical_.matrix.is_there() ? VK_TRUE : VK_FALSE;
  VkPhysicalDeviceVulkan12Features features{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
                                            .shaderInt8 = has_matrices,
                                            .timelineSemaphore = VK_TRUE,
                                            .vulkanMemoryModel = has_matrices};
  std::vector<const char*> extensions;
  if (physical_.has_dot_product) {
    dot.pNext = std::exchange(features.pNext, &dot);
    if (physical_.dot_product_is_extension) extensions.push_back(VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME);
  }
  if (has_matrices != VK_FALSE) {
    matrices.pNext = std::exchange(features.pNext, &matrices);
    extensions.push_back(VK_NV_COOPERATIVE_MATRIX_EXTENSION_NAME);
  }
  if (has_calibration_) extensions.push_back(VK_EXT_CALIBRATED_TIMESTAMPS_EXTENSION_NAME);
  const VkDeviceCreateInfo create{.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                  .pNext = &features,
                                  .queueCreateInfoCount = 1,
                                  .pQueueCreateInfos = &queue,
                                  .enabledExtensionCount = static_cast<uint32_t>(extensions.size()),
                                  .ppEnabledExtensionNames = extensions.data()};
  return check(vkCreateDevice(physical_.handle, &create, nullptr, &device_), "creating the device");
}

Status VulkanDevice::initialize() {
  vkGetPhysicalDeviceMemoryProperties(physical_.handle, &memory_types_);
  device_ = static_cast<VkDevice>(handles_.device);
  queue_ = static_cast<VkQueue>(handles_.queue);
  if (device_ == VK_NULL_HANDLE) LOWBIT_TRY(create_device());
  volkLoadDeviceTable(&vk, device_);
  if (vk.vkWaitSemaphores == nullptr) {
    return unavailable(LOWBIT_FALLBACK_FEATURE_MISSING,
                       "the instance behind options.vulkan was not made for Vulkan 1.2");
  }
  if (queue_ == VK_NULL_HANDLE) vk.vkGetDeviceQueue(device_, physical_.queue_family, 0, &queue_);

  for (uint32_t bindings = 1; bindings <= kMostBindings; ++bindings) LOWBIT_TRY(create_layouts(bindings));
  const std::vector<std::byte> kept = read_pipeline_cache(physical_.properties);
  const VkPipelineCacheCreateInfo cache{.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
                                        .initialDataSize = kept.size(),
                                        .pInitialData = kept.data()};
  cache_size_ = kept.size();
  return check(vk.vkCreatePipelineCache(device_, &cache, nullptr, &cache_), "creating the pipeline cache");
}

// Set 0 has `bindings` storage buffers, and all push constants there are.
Status VulkanDevice::create_layouts(uint32_t bindings) {
  VkDescriptorSetLayoutBinding buffers[kMostBindings];
  for (uint32_t i = 0; i < bindings; ++i) {
    buffers[i] = {.binding = i,
                  .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                  .descriptorCount = 1,
                  .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
  }
  const VkDescriptorSetLayoutCreateInfo set{
      .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO, .bindingCount = bindings, .pBindings = buffers};
  VkDescriptorSetLayout* set_layout = &set_layouts_[bindings - 1];
  LOWBIT_TRY(check(vk.vkCreateDescriptorSetLayout(device_, &set, nullptr, set_layout), "creating a set layout"));
  const VkPushConstantRange push{.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT, .size = kPushBytes};
  const VkPipelineLayoutCreateInfo layout{.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                          .setLayoutCount = 1,
                                          .pSetLayouts = set_layout,
                                          .pushConstantRangeCount = 1,
                                          .pPushConstantRanges = &push};
  return check(vk.vkCreatePipelineLayout(device_, &layout, nullptr, &layouts_[bindings - 1]),
               "creating a pipeline layout");
}

VulkanDevice::~VulkanDevice() {
  if (device_ == VK_NULL_HANDLE || vk.vkWaitSemaphores == nullptr) return;  // its streams are gone, and have waited
  for (const Retired& retired : retired_) free(retired.allocation);
  retired_.clear();  // with the timelines they hold
  for (const auto& [key, pipeline] : pipelines_) vk.vkDestroyPipeline(device_, pipeline.pipeline, nullptr);
  if (cache_ != VK_NULL_HANDLE) {
    write_pipeline_cache(vk, device_, cache_, cache_size_, physical_.properties);
    vk.vkDestroyPipelineCache(device_, cache_, nullptr);
  }
  for (VkPipelineLayout layout : layouts_) vk.vkDestroyPipelineLayout(device_, layout, nullptr);
  for (VkDescriptorSetLayout layout : set_layouts_) vk.vkDestroyDescriptorSetLayout(device_, layout, nullptr);
  if (!is_callers()) vk.vkDestroyDevice(device_, nullptr);
}

// ---- Memory ----------------------------------------------------------------------------------------------------------

Status VulkanDevice::allocate(size_t size, MemoryKind kind, Allocation* made) {
  // What the type must have, best first.
  constexpr VkMemoryPropertyFlags kDevice = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT,
                                  kHost = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
                                  kCached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
  const VkMemoryPropertyFlags wanted[3][4] = {
      {physical_.shares_memory ? kDevice | kHost | kCached : kDevice,
       physical_.shares_memory ? kDevice | kHost : kDevice, kDevice, 0},
      {kHost, kHost, kHost, kHost},
      {kHost | kCached, kHost, kHost, kHost},
  };
  const VkBufferCreateInfo info{.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                .size = (size + 15) / 16 * 16,
                                .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                                         VK_BUFFER_USAGE_TRANSFER_DST_BIT};
  Allocation allocation;
  VkMemoryRequirements needs{};
  // Drivers need not refuse a buffer that is larger than all memory, and some crash.
  const bool has_room =
      std::any_of(memory_types_.memoryHeaps, memory_types_.memoryHeaps + memory_types_.memoryHeapCount,
                  [&](const VkMemoryHeap& heap) { return size <= heap.size; });
  VkResult result =
      has_room ? vk.vkCreateBuffer(device_, &info, nullptr, &allocation.buffer) : VK_ERROR_OUT_OF_DEVICE_MEMORY;
  if (result == VK_SUCCESS) {
    vk.vkGetBufferMemoryRequirements(device_, allocation.buffer, &needs);
    VkMemoryPropertyFlags has = 0;
    result = VK_ERROR_OUT_OF_DEVICE_MEMORY;
    uint32_t tried = 0;  // types, as bits
    for (const VkMemoryPropertyFlags flags : wanted[static_cast<int>(kind)]) {
      for (uint32_t i = 0; i < memory_types_.memoryTypeCount && result == VK_ERROR_OUT_OF_DEVICE_MEMORY; ++i) {
        const VkMemoryType& type = memory_types_.memoryTypes[i];
        const bool is_allowed = (needs.memoryTypeBits & ~tried) >> i & 1;
        if (!is_allowed || (type.propertyFlags & flags) != flags) continue;
        tried |= 1u << i;
        if (needs.size > memory_types_.memoryHeaps[type.heapIndex].size) continue;
        const VkMemoryAllocateInfo allocate{
            .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .allocationSize = needs.size, .memoryTypeIndex = i};
        result = vk.vkAllocateMemory(device_, &allocate, nullptr, &allocation.memory);
        has = type.propertyFlags;
      }
    }
    if (result == VK_SUCCESS) {
      memory_reserved_ += allocation.size = needs.size;
      result = vk.vkBindBufferMemory(device_, allocation.buffer, allocation.memory, 0);
    }
    allocation.is_cached = (has & kCached) != 0;
    const bool is_mapped = (has & kHost) == kHost;
    if (result == VK_SUCCESS && is_mapped && (maps_memory_ || kind != MemoryKind::device)) {
      void* mapped = nullptr;
      result = vk.vkMapMemory(device_, allocation.memory, 0, VK_WHOLE_SIZE, 0, &mapped);
      allocation.mapped = static_cast<std::byte*>(mapped);
    }
  }
  if (result == VK_SUCCESS) {
    *made = allocation;
    return {};
  }
  free(allocation);
  const Status status = attempt(result, "allocating");
  if (status.code() != LOWBIT_OUT_OF_MEMORY) return status;
  return {LOWBIT_OUT_OF_MEMORY, fmt::format("{} bytes of device memory cannot be had: {}", size, status.sentence()),
          status.native_code()};
}

void VulkanDevice::free(const Allocation& allocation) noexcept {
  vk.vkDestroyBuffer(device_, allocation.buffer, nullptr);
  vk.vkFreeMemory(device_, allocation.memory, nullptr);
  memory_reserved_ -= allocation.size;
}

Status VulkanDevice::allocate(size_t size, void** memory) {
  LOWBIT_TRY(lost());
  collect();
  Allocation allocation;
  Status status = allocate(size, MemoryKind::device, &allocation);
  if (status.code() == LOWBIT_OUT_OF_MEMORY) {  // what was released may still wait for its last use
    wait_for_retired();
    collect();
    status = allocate(size, MemoryKind::device, &allocation);
  }
  LOWBIT_TRY(status);
  const std::lock_guard lock(memory_mutex_);
  allocations_.emplace(allocation.buffer, allocation);
  *memory = allocation.buffer;
  return {};
}

void VulkanDevice::release(void* memory) noexcept {
  {
    const std::lock_guard lock(memory_mutex_);
    const auto found = allocations_.find(buffer_of(memory));
    Retired retired{found->second, {}};
    for (const auto& timeline : timelines_) {
      const uint64_t recorded = timeline->recorded.load();
      if (!timeline->has_reached(recorded)) retired.uses.emplace_back(timeline, recorded);
    }
    allocations_.erase(found);
    retired_.push_back(std::move(retired));
  }
  collect();
}

void VulkanDevice::collect() noexcept {
  const std::lock_guard lock(memory_mutex_);
  for (auto retired = retired_.begin(); retired != retired_.end();) {
    std::erase_if(retired->uses, [](const auto& use) { return use.first->has_reached(use.second); });
    if (!retired->uses.empty()) {
      ++retired;
      continue;
    }
    free(retired->allocation);
    retired = retired_.erase(retired);
  }
}

void VulkanDevice::wait_for_retired() {
  std::vector<std::pair<std::shared_ptr<Timeline>, uint64_t>> uses;
  {
    const std::lock_guard lock(memory_mutex_);
    for (const Retired& retired : retired_) uses.insert(uses.end(), retired.uses.begin(), retired.uses.end());
  }
  for (const auto& [timeline, value] : uses) {
    if (value > timeline->submitted.load()) continue;  // is still being recorded
    const VkSemaphoreWaitInfo info{.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
                                   .semaphoreCount = 1,
                                   .pSemaphores = &timeline->semaphore,
                                   .pValues = &value};
    // If it takes longer, or fails, there is no more memory than before.
    vk.vkWaitSemaphores(device_, &info, uint64_t{10} * 1000 * 1000 * 1000);
  }
}

std::byte* VulkanDevice::mapped(VkBuffer buffer, HostAccess access) const {
  const std::lock_guard lock(memory_mutex_);
  const auto found = allocations_.find(buffer);
  if (found == allocations_.end()) return nullptr;
  return access == HostAccess::write || found->second.is_cached ? found->second.mapped : nullptr;
}

// ---- Pipelines -------------------------------------------------------------------------------------------------------

Status VulkanDevice::pipeline(const Shader& shader, const Constants& constants, Pipeline* pipeline) {
  const std::lock_guard lock(pipelines_mutex_);
  const PipelineKey key{shader.code.data(), constants};
  auto found = pipelines_.find(key);
  if (found == pipelines_.end()) {
    Pipeline made;
    LOWBIT_TRY(create_pipeline(shader, constants, &made));
    found = pipelines_.emplace(key, made).first;
  }
  *pipeline = found->second;
  return {};
}

Status VulkanDevice::create_pipeline(const Shader& shader, const Constants& constants, Pipeline* made) {
  made->bindings = binding_count(shader.code);
  made->layout = layouts_[made->bindings - 1];
  const std::vector<uint32_t> code = with_controls(shader.code, physical_.float_controls);
  const VkShaderModuleCreateInfo module_info{.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                             .codeSize = code.size() * sizeof(uint32_t),
                                             .pCode = code.data()};
  VkShaderModule module = VK_NULL_HANDLE;
  LOWBIT_TRY(attempt(vk.vkCreateShaderModule(device_, &module_info, nullptr, &module), "creating a shader module"));

  VkSpecializationMapEntry entries[std::tuple_size_v<Constants>];
  for (uint32_t i = 0; i < std::size(entries); ++i) entries[i] = {i, i * uint32_t{sizeof(uint32_t)}, sizeof(uint32_t)};
  const VkSpecializationInfo specialization{.mapEntryCount = static_cast<uint32_t>(std::size(entries)),
                                            .pMapEntries = entries,
                                            .dataSize = sizeof(constants),
                                            .pData = constants.data()};
  const VkComputePipelineCreateInfo info{.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
                                         .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                                                   .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                                                   .module = module,
                                                   .pName = "main",
                                                   .pSpecializationInfo = &specialization},
                                         .layout = made->layout};
  const VkResult result = vk.vkCreateComputePipelines(device_, cache_, 1, &info, nullptr, &made->pipeline);
  vk.vkDestroyShaderModule(device_, module, nullptr);
  return attempt(result, fmt::format("creating the pipeline of {}", shader.name).c_str());
}

// ---- Streams ---------------------------------------------------------------------------------------------------------

Status VulkanDevice::create_stream(std::unique_ptr<core::Stream>* stream) {
  return create_stream(VK_NULL_HANDLE, stream);
}

Status VulkanDevice::wrap_stream(void* native, std::unique_ptr<core::Stream>* stream) {
  if (native == nullptr) return invalid_argument("stream_wrap: native is NULL, it must be a VkCommandBuffer");
  if (!is_callers()) {
    return invalid_argument(
        "stream_wrap: native must be a VkCommandBuffer of the device, but no other has its VkDevice: "
        "it was not opened with options.vulkan");
  }
  return create_stream(static_cast<VkCommandBuffer>(native), stream);
}

Status VulkanDevice::create_stream(VkCommandBuffer own, std::unique_ptr<core::Stream>* stream) {
  LOWBIT_TRY(lost());
  auto made = std::make_unique<VulkanStream>(shared_from_this(), own);
  LOWBIT_TRY(made->initialize());
  *stream = std::move(made);
  return {};
}

void VulkanDevice::add(std::shared_ptr<Timeline> timeline) {
  const std::lock_guard lock(memory_mutex_);
  timelines_.insert(std::move(timeline));
}

void VulkanDevice::remove(const std::shared_ptr<Timeline>& timeline) {
  const std::lock_guard lock(memory_mutex_);
  timelines_.erase(timeline);
}

Status VulkanDevice::submit(VkCommandBuffer commands, const Timeline& timeline, uint64_t value) {
  const VkTimelineSemaphoreSubmitInfo values{.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
                                             .signalSemaphoreValueCount = 1,
                                             .pSignalSemaphoreValues = &value};
  const VkSubmitInfo info{.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                          .pNext = &values,
                          .commandBufferCount = 1,
                          .pCommandBuffers = &commands,
                          .signalSemaphoreCount = 1,
                          .pSignalSemaphores = &timeline.semaphore};
  const QueueLock lock(*this);
  return attempt(vk.vkQueueSubmit(queue_, 1, &info, VK_NULL_HANDLE), "submitting");
}

void VulkanDevice::wait_idle() noexcept {
  const QueueLock lock(*this);
  vk.vkQueueWaitIdle(queue_);
}

Status VulkanDevice::attempt(VkResult result, const char* what) {
  Status status = check(result, what);
  if (status.code() == LOWBIT_DEVICE_LOST) {
    const std::lock_guard lock(lost_mutex_);
    if (lost_.ok()) lost_ = status;
  }
  return status;
}

Status VulkanDevice::lost() const {
  const std::lock_guard lock(lost_mutex_);
  return lost_;
}

}  // namespace lowbit::core::vulkan
