// What sm_90 does beside a block's threads: copies that count their bytes at barriers in shared memory. Called by the
// running thread of a kernel.
#pragma once

#include <array>
#include <cstdint>

#include "../../cuda/tensor_map.h"

namespace lowbit::emulation {

constexpr int kSwizzleBytes = 128;  // a row of a box

// Where a byte of a row stands: its chunks of 16 bytes are permuted by their address.
template <typename Byte>
Byte* swizzled(Byte* address) {
  const auto bits = reinterpret_cast<uintptr_t>(address);
  return reinterpret_cast<Byte*>(bits ^ (bits >> 7 & 7) << 4);
}

void barrier_init(uint64_t* barrier, int arrivals);
void barrier_arrive(uint64_t* barrier, int announced_bytes);
void barrier_wait(uint64_t* barrier, uint32_t parity);

// A copy happens when somebody waits at its barrier: what is read before shows as unwritten shared memory.
void copy_bulk(void* to, const void* from, int bytes, uint64_t* barrier);
void copy_box(void* to, const core::cuda::TensorMap* map, std::array<int64_t, 4> first, uint64_t* barrier);

}  // namespace lowbit::emulation
