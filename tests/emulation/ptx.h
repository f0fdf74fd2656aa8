// What cuda/ptx.h asks of the machine, by the emulator.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace lowbit::core::cuda {

template <typename T>
T* dynamic_shared() {
  return static_cast<T*>(emulation::shared_memory());
}

inline uint4 load_once(const uint4* from) { return *from; }
inline float4 load_once(const float4* from) { return *from; }

inline uint32_t in_place(uint32_t word) { return word; }

inline void fence_device() { emulation::fence(); }

template <bool kSigned>
int dot4(uint32_t weights, uint32_t activations, int c) {
  for (int i = 0; i < 32; i += 8) {
    const uint8_t activation = static_cast<uint8_t>(activations >> i);
    c += static_cast<int8_t>(weights >> i) * (kSigned ? static_cast<int8_t>(activation) : activation);
  }
  return c;
}

template <bool kSigned>
void mma_16x8x32(int (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  emulation::mma_warp(d, a, b0, b1, kSigned);
}

template <int kBytes>
void copy_async(void* shared, const void* global, int valid) {
  emulation::copy_async(shared, global, kBytes, valid);
}
inline void copy_async_commit() { emulation::commit_copies(); }
template <int kGroups>
void copy_async_wait() {
  emulation::wait_for_copies(kGroups);
}

}  // namespace lowbit::core::cuda
