// What cuda/ptx_sm90a.h asks of the machine, by the emulator.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "bulk_copies.h"
#include "ptx.h"

namespace lowbit::core::cuda {

template <typename T>
T* aligned_shared() {
  const auto start = reinterpret_cast<uintptr_t>(dynamic_shared<char>());
  return reinterpret_cast<T*>((start + alignof(T) - 1) / alignof(T) * alignof(T));
}

template <int kRegisters>
void shrink_registers() {}
template <int kRegisters>
void grow_registers() {}

inline void barrier_init(uint64_t* barrier, int arrivals) { emulation::barrier_init(barrier, arrivals); }
inline void barrier_init_done() {}
inline void barrier_arrive(uint64_t* barrier) { emulation::barrier_arrive(barrier, 0); }
inline void barrier_expect(uint64_t* barrier, int bytes) { emulation::barrier_arrive(barrier, bytes); }
inline void barrier_wait(uint64_t* barrier, uint32_t parity) { emulation::barrier_wait(barrier, parity); }

inline void copy_bulk(void* shared, const void* global, int bytes, uint64_t* barrier) {
  emulation::copy_bulk(shared, global, bytes, barrier);
}
inline void copy_box(void* shared, const TensorMap* map, int x0, int x1, int x2, int x3, uint64_t* barrier) {
  emulation::copy_box(shared, map, {x0, x1, x2, x3}, barrier);
}

inline void wgmma_fence() {}
inline void wgmma_commit() { emulation::wgmma_commit(); }
template <int kGroups>
void wgmma_wait() {
  emulation::wgmma_wait(kGroups);
}
inline uint64_t wgmma_operand(const void* shared) { return reinterpret_cast<uint64_t>(shared); }
template <bool kSigned>
void wgmma_64x128x32(int (&d)[64], const uint32_t (&a)[4], uint64_t b) {
  emulation::wgmma(d, a, reinterpret_cast<const uint8_t*>(b), kSigned);
}

}  // namespace lowbit::core::cuda
