#include "bulk_copies.h"

#include <cstring>

#include "block.h"

namespace lowbit::emulation {
namespace {

bool is_aligned(const void* address, uintptr_t to) { return reinterpret_cast<uintptr_t>(address) % to == 0; }

void run_box(const BulkCopy& copy) {
  const core::cuda::BoxedBytes& b = *copy.box;
  const auto is_inside = [&](int axis, int64_t x) { return x >= 0 && static_cast<uint64_t>(x) < b.extents[axis]; };
  const std::array<int64_t, 4>& x = copy.first;
  auto* to = static_cast<uint8_t*>(copy.to);
  for (int64_t r = 0; r < b.box_rows; ++r) {
    const bool is_row = is_inside(1, x[1] + r) && is_inside(2, x[2]) && is_inside(3, x[3]);
    const auto* row = static_cast<const uint8_t*>(b.data) + (x[1] + r) * static_cast<int64_t>(b.strides[0]) +
                      x[2] * static_cast<int64_t>(b.strides[1]) + x[3] * static_cast<int64_t>(b.strides[2]);
    for (int64_t c = 0; c < kSwizzleBytes; c += 16) {
      uint8_t chunk[16] = {};
      int64_t there = 0;
      while (is_row && there < 16 && is_inside(0, x[0] + c + there)) ++there;
      if (there > 0) std::memcpy(chunk, row + x[0] + c, static_cast<size_t>(there));
      std::memcpy(swizzled(to + r * kSwizzleBytes + c), chunk, sizeof(chunk));
    }
  }
}

void settle(Barrier& barrier) {
  if (barrier.pending > 0 || barrier.bytes != 0) return;
  ++barrier.phase;
  barrier.pending = barrier.arrivals;
  for (Thread* thread : barrier.waiting) block->make_ready(*thread);
  barrier.waiting.clear();
}

void run_copies(Barrier& barrier) {
  std::vector<BulkCopy> copies;
  copies.swap(barrier.copies);
  for (const BulkCopy& copy : copies) {
    copy.box ? run_box(copy) : static_cast<void>(std::memcpy(copy.to, copy.from, copy.bytes));
    barrier.bytes -= copy.bytes;
  }
  const Unseen unseen;
  settle(barrier);
  std::vector<BulkCopy>().swap(copies);
}

Barrier& barrier_at(const uint64_t* address) {
  const auto found = block->barriers.find(address);
  if (found == block->barriers.end()) fail("no barrier was initialised at %p", static_cast<const void*>(address));
  return found->second;
}

void enqueue(const BulkCopy& copy, const uint64_t* address) {
  Barrier& barrier = barrier_at(address);
  {
    const Unseen unseen;
    barrier.copies.push_back(copy);
  }
  if (!barrier.waiting.empty()) run_copies(barrier);
  barrier.order.release();
}

}  // namespace

// ---- Barriers and copies ---------------------------------------------------------------------------------------------

void barrier_init(uint64_t* address, int arrivals) {
  require_capability(9, "barrier_init");
  if (!is_aligned(address, 8)) fail("misaligned barrier at %p", static_cast<void*>(address));
  *address = 0;  // it is there
  const Unseen unseen;
  Barrier& barrier = block->barriers[address];
  barrier.arrivals = barrier.pending = arrivals;
}

void barrier_arrive(uint64_t* address, int announced_bytes) {
  Barrier& barrier = barrier_at(address);
  barrier.order.release();
  barrier.bytes += announced_bytes;
  if (--barrier.pending < 0) fail("more than %d arrived at a barrier", barrier.arrivals);
  const Unseen unseen;
  settle(barrier);
}

void barrier_wait(uint64_t* address, uint32_t parity) {
  Barrier& barrier = barrier_at(address);
  barrier.order.acquire();
  run_copies(barrier);
  barrier.order.release();
  while ((barrier.phase & 1) == parity) {
    {
      const Unseen unseen;
      barrier.waiting.push_back(&block->running());
    }
    block->wait_at(Meeting::barrier);
  }
  barrier.order.acquire();
}

void copy_bulk(void* to, const void* from, int bytes, uint64_t* barrier) {
  if (bytes <= 0 || bytes % 16 != 0 || !is_aligned(to, 16) || !is_aligned(from, 16))
    fail("copy_bulk of %d bytes from %p to %p", bytes, from, to);
  enqueue({to, from, bytes, {}, {}}, barrier);
}

void copy_box(void* to, const core::cuda::TensorMap* map, std::array<int64_t, 4> first, uint64_t* barrier) {
  if (!is_aligned(to, 1024)) fail("copy_box to %p, which is not aligned to 1024", to);
  core::cuda::BoxedBytes box;
  std::memcpy(&box, map, sizeof(box));
  enqueue({to, nullptr, static_cast<int>(box.box_bytes * box.box_rows), box, first}, barrier);
}

}  // namespace lowbit::emulation

// ---- In place of cuda/tensor_map.cpp ---------------------------------------------------------------------------------

namespace lowbit::core::cuda {

bool can_make_tensor_maps() { return true; }

// Refuses what the driver refuses.
Status make_tensor_map(const char*, const BoxedBytes& b, TensorMap* map) {
  bool is_right = emulation::is_aligned(b.data, 16) && b.box_bytes == emulation::kSwizzleBytes && b.box_rows >= 1 &&
                  b.box_rows <= 256;
  for (uint64_t extent : b.extents) is_right &= extent >= 1 && extent <= uint64_t{1} << 32;
  for (uint64_t stride : b.strides) is_right &= stride % 16 == 0 && stride < uint64_t{1} << 40;
  if (!is_right) return {LOWBIT_DRIVER_ERROR, "the emulated driver refused a tensor map"};
  static_assert(sizeof(b) <= sizeof(*map));
  *map = {};
  std::memcpy(map, &b, sizeof(b));
  return {};
}

}  // namespace lowbit::core::cuda
