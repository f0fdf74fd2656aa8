// Data that kernels had to refuse, which synchronize() tells once. Each call that may refuse data has a slot of two
// words in memory that the host reads: the smallest index refused for the call's first reason and for its second; a
// kernel lowers them by atomicMin from kNothing.
#pragma once

#include <deque>

#include "vulkan_device.h"

namespace lowbit::core::vulkan {

class VulkanStream;
struct Range;

class Refusals {
 public:
  static constexpr uint32_t kNothing = UINT32_MAX;
  // What to say of an index refused for reason 0 or 1.
  using Sentence = std::string (*)(int reason, uint32_t index);

  explicit Refusals(VulkanStream& stream) : stream_(stream) {}
  ~Refusals();
  Refusals(const Refusals&) = delete;
  Refusals& operator=(const Refusals&) = delete;

  // A slot for the call that is being recorded.
  Status watch(Sentence sentence, Range* slot);
  // LOWBIT_INVALID_ARGUMENT for the first call that refused something and has not been told. `has_run`: all work has, and
  // slots are free again; otherwise some may still refuse.
  Status take(bool has_run);

 private:
  static constexpr size_t kSlots = 256, kSlotWords = 2;
  struct Watch {
    size_t slot;
    uint64_t value;  // that the first of the call's work signals
    Sentence sentence;
  };
  void read(const Watch& watch);

  VulkanStream& stream_;
  VulkanDevice::Allocation memory_;
  std::deque<Watch> watched_;  // in the order of the calls
  size_t next_ = 0;
  Status first_;
};

}  // namespace lowbit::core::vulkan
