// Pinned host memory on the way from pageable memory to the device: two slots, so that one is filled while the other
// travels. (To the host, CUDA stages as fast, and has the bytes there when its call returns.) And the room for samples.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

#include "device.h"

namespace lowbit::core::cuda {

class Staging {
 public:
  Staging() = default;
  ~Staging();  // the copies have run
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // Enqueues a copy; `host` has been read when this returns.
  Status copy_to_device(cudaStream_t stream, void* device, const void* host, size_t size);
  // Enqueues Stream::fetch()'s copies.
  Status fetch(cudaStream_t stream, size_t at, MemoryRows* rows);

 private:
  static constexpr size_t kSlotBytes = size_t{4} << 20;
  struct Slot {
    void* pinned = nullptr;
    cudaEvent_t sent = nullptr;
  };
  // The other slot, once its last bytes have travelled.
  Status next(Slot** slot);

  Slot slots_[2];
  int turn_ = 0;
  void* samples_ = nullptr;
};

}  // namespace lowbit::core::cuda
