#include "staging.h"

#include <algorithm>
#include <cstring>

#include "apart_from_captures.h"
#include "error.h"

namespace lowbit::core::cuda {

Staging::~Staging() {
  const ApartFromCaptures apart;
  for (const Slot& slot : slots_) {
    if (slot.sent != nullptr) cudaEventDestroy(slot.sent);
    if (slot.pinned != nullptr) cudaFreeHost(slot.pinned);
  }
  if (samples_ != nullptr) cudaFreeHost(samples_);
}

Status Staging::next(Slot** slot) {
  Slot& chosen = slots_[turn_];
  turn_ = 1 - turn_;
  if (chosen.pinned == nullptr) {
    LOWBIT_TRY(check(cudaMallocHost(&chosen.pinned, kSlotBytes), "allocating pinned memory"));
  }
  if (chosen.sent == nullptr) {
    LOWBIT_TRY(check(cudaEventCreateWithFlags(&chosen.sent, cudaEventDisableTiming), "creating an event"));
  }
  *slot = &chosen;
  return check(cudaEventSynchronize(chosen.sent), "waiting for a staged copy");
}

Status Staging::copy_to_device(cudaStream_t stream, void* device, const void* host, size_t size) {
  for (size_t at = 0; at < size; at += kSlotBytes) {
    Slot* slot = nullptr;
    LOWBIT_TRY(next(&slot));
    const size_t part = std::min(kSlotBytes, size - at);
    std::memcpy(slot->pinned, static_cast<const std::byte*>(host) + at, part);
    LOWBIT_TRY(
        check(cudaMemcpyAsync(static_cast<std::byte*>(device) + at, slot->pinned, part, cudaMemcpyHostToDevice, stream),
              "copying to the device"));
    LOWBIT_TRY(check(cudaEventRecord(slot->sent, stream), "recording an event"));
  }
  return {};
}

Status Staging::fetch(cudaStream_t stream, size_t at, MemoryRows* rows) {
  if (samples_ == nullptr) {
    LOWBIT_TRY(check(cudaMallocHost(&samples_, Stream::kSampleRoom), "allocating pinned memory for samples"));
  }
  std::byte* const to = static_cast<std::byte*>(samples_) + at;
  const std::byte* const from = static_cast<const std::byte*>(rows->data) + rows->offset;
  for (size_t i = 0; i < rows->count; ++i) {
    LOWBIT_TRY(
        check(cudaMemcpyAsync(to + i * rows->size, from + i * rows->pitch, rows->size, cudaMemcpyDefault, stream),
              "copying a sample"));
  }
  *rows = {to, 0, rows->size, rows->size, rows->count};
  return {};
}

}  // namespace lowbit::core::cuda
