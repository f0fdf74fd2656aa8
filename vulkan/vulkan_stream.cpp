#include "vulkan_stream.h"

#include <algorithm>
#include <cstring>

namespace lowbit::core::vulkan {
namespace {

constexpr VkAccessFlags kReads = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT,
                        kWrites = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
constexpr VkPipelineStageFlags kStages = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;

constexpr uint64_t kTimeout = uint64_t{600} * 1000 * 1000 * 1000;  // ns

}  // namespace

VulkanStream::VulkanStream(std::shared_ptr<core::Device> device, VkCommandBuffer own)
    : Stream(std::move(device)),
      own_(own),
      timeline_(std::make_shared<Timeline>(vulkan_device().handle(), vulkan_device().vk)),
      staging_(*this),
      refusals_(*this) {}

Status VulkanStream::initialize() {
  VulkanDevice& device = vulkan_device();
  const VkSemaphoreTypeCreateInfo type{.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
                                       .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE};
  const VkSemaphoreCreateInfo semaphore{.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = &type};
  LOWBIT_TRY(attempt(device.vk.vkCreateSemaphore(device.handle(), &semaphore, nullptr, &timeline_->semaphore),
                     "creating a timeline"));
  device.add(timeline_);
  if (own_ == VK_NULL_HANDLE) return create_batches();
  // One batch, which is open to the stream's end and never submitted here. It is not measured: when it has run, and
  // whether at all, is not known here.
  is_measured = false;
  batches_[0].commands = own_;
  batches_[0].value = timeline_->recorded = 1;
  is_open_ = true;
  return {};
}

Status VulkanStream::create_batches() {
  VulkanDevice& device = vulkan_device();
  const VkCommandPoolCreateInfo pool{.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                     .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                     .queueFamilyIndex = device.queue_family()};
  LOWBIT_TRY(
      attempt(device.vk.vkCreateCommandPool(device.handle(), &pool, nullptr, &pool_), "creating a command pool"));
  VkCommandBuffer buffers[kBatches];
  const VkCommandBufferAllocateInfo allocate{.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                             .commandPool = pool_,
                                             .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                             .commandBufferCount = kBatches};
  LOWBIT_TRY(
      attempt(device.vk.vkAllocateCommandBuffers(device.handle(), &allocate, buffers), "allocating command buffers"));
  for (int i = 0; i < kBatches; ++i) batches_[i].commands = buffers[i];
  return {};
}

VulkanStream::~VulkanStream() {
  VulkanDevice& device = vulkan_device();
  if (own_ == VK_NULL_HANDLE) {
    (void)flush().ok();
    if (!wait(timeline_->submitted).ok()) device.wait_idle();  // nothing of what follows may be in use
  }
  times_.reset();
  device.remove(timeline_);
  for (Batch& batch : batches_) {
    for (const Sets& sets : batch.sets) {
      for (VkDescriptorPool pool : sets.pools) device.vk.vkDestroyDescriptorPool(device.handle(), pool, nullptr);
    }
  }
  device.vk.vkDestroyCommandPool(device.handle(), pool_, nullptr);
  timeline_->recorded = 0;
  device.collect();
}

Status VulkanStream::attempt(VkResult result, const char* what) {
  Status status = vulkan_device().attempt(result, what);
  if (status.code() == LOWBIT_DEVICE_LOST) set_fault(status);
  return status;
}

DeviceTimes* VulkanStream::times(Profiler& profiler) {
  if (!times_) times_ = std::make_unique<Timestamps>(*this, profiler);
  return times_.get();
}

// ---- Recording -------------------------------------------------------------------------------------------------------

Status VulkanStream::open() {
  VulkanDevice& device = vulkan_device();
  LOWBIT_TRY(fault());
  Batch& batch = batches_[turn_];
  LOWBIT_TRY(wait(batch.value));
  const VkCommandBufferBeginInfo begin{.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                       .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
  LOWBIT_TRY(attempt(device.vk.vkBeginCommandBuffer(batch.commands, &begin), "beginning a command buffer"));
  for (Sets& sets : batch.sets) sets.used = 0;
  batch.value = timeline_->submitted + 1;
  timeline_->recorded = batch.value;
  is_open_ = true;
  is_ordered_ = false;
  dispatches_ = 0;
  return {};
}

Status VulkanStream::commands(VkCommandBuffer* commands) {
  LOWBIT_TRY(vulkan_device().lost());
  if (is_open_ && times_ && times_->is_full()) LOWBIT_TRY(flush());
  if (!is_open_) LOWBIT_TRY(open());
  *commands = batches_[turn_].commands;
  if (!is_ordered_) {
    const VkMemoryBarrier barrier{
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER, .srcAccessMask = kWrites, .dstAccessMask = kReads | kWrites};
    vulkan_device().vk.vkCmdPipelineBarrier(*commands, kStages, kStages, 0, 1, &barrier, 0, nullptr, 0, nullptr);
    is_ordered_ = true;
  }
  return times_ ? times_->begin_piece(*commands) : Status();
}

Status VulkanStream::count_dispatch() { return ++dispatches_ < kMostDispatches ? Status() : flush(); }

Status VulkanStream::descriptor_set(uint32_t bindings, const VkDescriptorBufferInfo* buffers, VkDescriptorSet* set) {
  VulkanDevice& device = vulkan_device();
  Sets& sets = batches_[turn_].sets[bindings - 1];
  if (sets.used == sets.sets.size()) {
    const VkDescriptorPoolSize size{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, bindings * kSetsOfPool};
    const VkDescriptorPoolCreateInfo info{.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
                                          .maxSets = kSetsOfPool,
                                          .poolSizeCount = 1,
                                          .pPoolSizes = &size};
    sets.pools.reserve(sets.pools.size() + 1);
    VkDescriptorPool pool = VK_NULL_HANDLE;
    LOWBIT_TRY(attempt(device.vk.vkCreateDescriptorPool(device.handle(), &info, nullptr, &pool),
                       "creating a descriptor pool"));
    sets.pools.push_back(pool);
    const std::vector<VkDescriptorSetLayout> layouts(kSetsOfPool, device.set_layout(bindings));
    VkDescriptorSet made[kSetsOfPool];
    const VkDescriptorSetAllocateInfo allocate{.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                               .descriptorPool = pool,
                                               .descriptorSetCount = kSetsOfPool,
                                               .pSetLayouts = layouts.data()};
    LOWBIT_TRY(
        attempt(device.vk.vkAllocateDescriptorSets(device.handle(), &allocate, made), "allocating descriptor sets"));
    sets.sets.insert(sets.sets.end(), made, made + kSetsOfPool);
  }
  *set = sets.sets[sets.used++];
  VkWriteDescriptorSet writes[VulkanDevice::kMostBindings];
  for (uint32_t i = 0; i < bindings; ++i) {
    writes[i] = {.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                 .dstSet = *set,
                 .dstBinding = i,
                 .descriptorCount = 1,
                 .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                 .pBufferInfo = &buffers[i]};
  }
  device.vk.vkUpdateDescriptorSets(device.handle(), bindings, writes, 0, nullptr);
  return {};
}

// ---- Submitting and waiting ------------------------------------------------------------------------------------------

Status VulkanStream::flush() {
  VulkanDevice& device = vulkan_device();
  if (!is_open_ || own_ != VK_NULL_HANDLE) return fault().ok() ? device.lost() : fault();
  Batch& batch = batches_[turn_];
  is_open_ = false;
  if (times_) times_->end_piece();
  // The host may look once the timeline says so.
  const VkMemoryBarrier barrier{.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                .srcAccessMask = kWrites,
                                .dstAccessMask = VK_ACCESS_HOST_READ_BIT | VK_ACCESS_HOST_WRITE_BIT};
  device.vk.vkCmdPipelineBarrier(batch.commands, kStages, VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier, 0, nullptr, 0,
                                 nullptr);
  Status status = attempt(device.vk.vkEndCommandBuffer(batch.commands), "ending a command buffer");
  if (status.ok()) status = device.submit(batch.commands, *timeline_, batch.value);
  if (!status.ok()) {  // what was recorded is lost: the stream cannot go on as if it had run
    batch.value = timeline_->recorded = timeline_->submitted.load();
    if (times_) times_->lost();
    set_fault(status);
    return status;
  }
  timeline_->submitted = batch.value;
  if (times_) times_->submitted(batch.value);
  turn_ = (turn_ + 1) % kBatches;
  return {};
}

Status VulkanStream::wait(uint64_t value) {
  VulkanDevice& device = vulkan_device();
  if (own_ != VK_NULL_HANDLE && value != 0) {
    return {LOWBIT_NOT_READY, "the caller's command buffer has to run before lowbit can go on: take another stream"};
  }
  uint64_t reached = 0;
  const VkResult asked = value == 0 ? VK_SUCCESS : timeline_->ask(&reached);
  if (asked == VK_ERROR_DEVICE_LOST) return attempt(asked, "asking how far the stream is");
  if (asked == VK_SUCCESS && reached >= value) return device.lost();
  const VkSemaphoreWaitInfo info{.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
                                 .semaphoreCount = 1,
                                 .pSemaphores = &timeline_->semaphore,
                                 .pValues = &value};
  LOWBIT_TRY(attempt(device.vk.vkWaitSemaphores(device.handle(), &info, kTimeout), "waiting for the stream"));
  return device.lost();
}

Status VulkanStream::synchronize() {
  LOWBIT_TRY(flush());
  LOWBIT_TRY(wait(timeline_->submitted));  // 0 where the caller submits
  vulkan_device().collect();
  if (times_) times_->collect();
  return refusals_.take(own_ == VK_NULL_HANDLE);
}

bool VulkanStream::is_idle() const { return !is_open_ && timeline_->has_reached(timeline_->submitted); }

// ---- Copies ----------------------------------------------------------------------------------------------------------

Status VulkanStream::copy_to_device(void* data, uint64_t offset, const void* host, size_t size) {
  if (own_ != VK_NULL_HANDLE) return {LOWBIT_UNSUPPORTED, "copy_to_device: the stream is the caller's command buffer"};
  LOWBIT_TRY(vulkan_device().lost());
  std::byte* const mapped = vulkan_device().mapped(buffer_of(data), VulkanDevice::HostAccess::write);
  if (mapped != nullptr && is_idle()) {
    std::memcpy(mapped + offset, host, size);
    return {};
  }
  return staging_.upload({buffer_of(data), offset, size}, static_cast<const std::byte*>(host));
}

Status VulkanStream::copy_to_host(void* host, const void* data, uint64_t offset, size_t size) {
  if (own_ != VK_NULL_HANDLE) return {LOWBIT_UNSUPPORTED, "copy_to_host: the stream is the caller's command buffer"};
  VulkanDevice& device = vulkan_device();
  if (const std::byte* mapped = device.mapped(buffer_of(data), VulkanDevice::HostAccess::read); mapped != nullptr) {
    // The caller's own work, which flush() does not know of, shows to the host behind a barrier only.
    VkCommandBuffer commands_behind = VK_NULL_HANDLE;
    if (device.is_callers()) LOWBIT_TRY(commands(&commands_behind));
    LOWBIT_TRY(flush());
    LOWBIT_TRY(wait(timeline_->submitted));
    std::memcpy(host, mapped + offset, size);
    return {};
  }
  return staging_.download({buffer_of(data), offset, size}, static_cast<std::byte*>(host));
}

}  // namespace lowbit::core::vulkan
