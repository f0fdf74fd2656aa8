// When a stream's kernels ran: timestamps before and behind what of an operation goes into one batch. An operation whose
// dispatches flush() parts has a piece in each of their batches, and took as long as they together.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "profiler.h"
#include "vk.h"

namespace lowbit::core::vulkan {

class VulkanStream;

class Timestamps final : public DeviceTimes {
 public:
  Timestamps(VulkanStream& stream, Profiler& profiler);
  ~Timestamps() override;  // nothing of the stream runs any more
  Timestamps(const Timestamps&) = delete;
  Timestamps& operator=(const Timestamps&) = delete;

  Status begin(const char* kernel) override;
  Status end(const Profiler::Call* call) override;
  void collect() override;

  // Of the stream's batch: whether no piece goes into it any more.
  bool is_full() const { return open_.pieces.size() == kMostPieces; }
  // The stream tells that something is going to be recorded into it,
  Status begin_piece(VkCommandBuffer commands);
  // that nothing more is,
  void end_piece();
  // and that it will signal `value`, or never runs.
  void submitted(uint64_t value);
  void lost();

 private:
  static constexpr size_t kMostPieces = 64;
  struct Operation {
    Profiler::Call call;  // once it is ended
    const char* kernel;
    bool is_begun = false, is_ended = false;
    size_t unread = 0;  // pieces
    Profiler::Clock::time_point begin;
    std::chrono::nanoseconds duration{};
  };
  // Piece i has the timestamps 2 i and 2 i + 1.
  struct Batch {
    VkQueryPool queries = VK_NULL_HANDLE;
    uint64_t value = 0;  // that it signals
    std::vector<std::shared_ptr<Operation>> pieces;
  };
  Status take_queries(VkCommandBuffer commands);
  bool read(const Batch& batch);
  void record_if_done(const Operation& operation);

  VulkanStream& stream_;
  Profiler& profiler_;
  std::shared_ptr<Operation> operation_;       // in progress
  VkCommandBuffer commands_ = VK_NULL_HANDLE;  // that has an open piece of it
  Batch open_;                                 // the stream's, with no queries if nothing in it is measured

  std::mutex mutex_;  // of what follows, and of operations
  std::deque<Batch> submitted_;
  std::vector<VkQueryPool> free_;
};

}  // namespace lowbit::core::vulkan
