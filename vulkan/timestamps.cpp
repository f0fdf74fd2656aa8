#include "timestamps.h"

#include <utility>

#include "vulkan_stream.h"

namespace lowbit::core::vulkan {
namespace {

// Behind all work before it: an operation waits for that anyway.
constexpr VkPipelineStageFlagBits kStage = VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT;

}  // namespace

Timestamps::Timestamps(VulkanStream& stream, Profiler& profiler) : stream_(stream), profiler_(profiler) {
  profiler_.add(this);
}

Timestamps::~Timestamps() {
  profiler_.remove(this);
  collect();
  const VulkanDevice& device = stream_.vulkan_device();
  for (const Batch& batch : submitted_) free_.push_back(batch.queries);
  free_.push_back(open_.queries);
  for (VkQueryPool queries : free_) device.vk.vkDestroyQueryPool(device.handle(), queries, nullptr);
}

// ---- Recording -------------------------------------------------------------------------------------------------------

Status Timestamps::begin(const char* kernel) {
  operation_ = std::make_shared<Operation>();
  operation_->kernel = kernel;
  return {};
}

Status Timestamps::end(const Profiler::Call* call) {
  end_piece();
  const std::shared_ptr<Operation> operation = std::move(operation_);
  if (call == nullptr) return {};
  const std::lock_guard lock(mutex_);
  operation->call = *call;
  operation->is_ended = true;
  record_if_done(*operation);
  return {};
}

Status Timestamps::begin_piece(VkCommandBuffer commands) {
  if (operation_ == nullptr || commands_ != VK_NULL_HANDLE) return {};
  const VulkanDevice& device = stream_.vulkan_device();
  if (open_.queries == VK_NULL_HANDLE) LOWBIT_TRY(take_queries(commands));
  device.begin_label(commands, operation_->kernel);
  device.vk.vkCmdWriteTimestamp(commands, kStage, open_.queries, static_cast<uint32_t>(2 * open_.pieces.size()));
  open_.pieces.push_back(operation_);
  commands_ = commands;
  const std::lock_guard lock(mutex_);
  ++operation_->unread;
  return {};
}

Status Timestamps::take_queries(VkCommandBuffer commands) {
  VulkanDevice& device = stream_.vulkan_device();
  const std::lock_guard lock(mutex_);
  if (free_.empty()) {
    const VkQueryPoolCreateInfo info{.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                     .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                     .queryCount = 2 * kMostPieces};
    LOWBIT_TRY(stream_.attempt(device.vk.vkCreateQueryPool(device.handle(), &info, nullptr, &open_.queries),
                               "creating a query pool"));
  } else {
    open_.queries = free_.back();
    free_.pop_back();
  }
  device.vk.vkCmdResetQueryPool(commands, open_.queries, 0, 2 * kMostPieces);
  return {};
}

void Timestamps::end_piece() {
  if (commands_ == VK_NULL_HANDLE) return;
  const VulkanDevice& device = stream_.vulkan_device();
  device.vk.vkCmdWriteTimestamp(commands_, kStage, open_.queries, static_cast<uint32_t>(2 * open_.pieces.size() - 1));
  device.end_label(commands_);
  commands_ = VK_NULL_HANDLE;
}

void Timestamps::submitted(uint64_t value) {
  if (open_.queries == VK_NULL_HANDLE) return;
  open_.value = value;
  {
    const std::lock_guard lock(mutex_);
    submitted_.push_back(std::exchange(open_, {}));
  }
  collect();
}

void Timestamps::lost() {
  const std::lock_guard lock(mutex_);
  if (open_.queries != VK_NULL_HANDLE) free_.push_back(std::exchange(open_, {}).queries);
}

// ---- Reading ---------------------------------------------------------------------------------------------------------

void Timestamps::collect() {
  const std::lock_guard lock(mutex_);
  uint64_t reached = 0;
  // Errors are told by the stream's own calls.
  if (submitted_.empty() || stream_.timeline().ask(&reached) != VK_SUCCESS) return;
  while (!submitted_.empty() && submitted_.front().value <= reached && read(submitted_.front())) {
    free_.push_back(submitted_.front().queries);
    submitted_.pop_front();
  }
}

// False if it cannot be read.
bool Timestamps::read(const Batch& batch) {
  VulkanDevice& device = stream_.vulkan_device();
  uint64_t ticks[2 * kMostPieces];
  const size_t pieces = batch.pieces.size();
  if (device.vk.vkGetQueryPoolResults(device.handle(), batch.queries, 0, static_cast<uint32_t>(2 * pieces),
                                      sizeof(ticks), ticks, sizeof(*ticks), VK_QUERY_RESULT_64_BIT) != VK_SUCCESS) {
    return false;
  }
  for (size_t i = 0; i < pieces; ++i) {
    Operation& operation = *batch.pieces[i];
    const Profiler::Clock::time_point begin = device.clock().time_of(ticks[2 * i]);
    if (!operation.is_begun) operation.begin = begin;
    operation.is_begun = true;
    operation.duration += device.clock().between(ticks[2 * i], ticks[2 * i + 1]);
    --operation.unread;
    record_if_done(operation);
  }
  return true;
}

void Timestamps::record_if_done(const Operation& operation) {
  if (operation.is_ended && operation.unread == 0)
    profiler_.record(operation.call, operation.begin, operation.duration);
}

}  // namespace lowbit::core::vulkan
