// What the lanes of a warp do together, and what a lane does alone.
#include <bit>
#include <cstring>

#include "block.h"
#include "emulated_device.h"

namespace lowbit::emulation {
namespace {

template <typename Body>
void for_lanes(unsigned mask, Body body) {
  for (unsigned rest = mask; rest != 0; rest &= rest - 1) body(std::countr_zero(rest));
}

template <typename Operand>
Operand& operand(const Warp& warp, int lane) {
  return *static_cast<Operand*>(warp.lanes[lane]->operand);
}

// The last lane to come works out what all take from the meeting: `complete(warp)`.
template <typename Complete>
void meet(Meeting meeting, unsigned mask, void* operand, Complete complete) {
  Thread& self = block->running();
  Warp& warp = *self.warp;
  const unsigned own = 1u << self.lane;
  if ((mask & own) == 0) fail("lane %d is not one of lanes 0x%08x of its %s", self.lane, mask, name(meeting));
  if ((mask & ~warp.alive) != 0) {
    fail("%s of lanes 0x%08x: of these, 0x%08x have returned or never were", name(meeting), mask, mask & ~warp.alive);
  }
  const unsigned here = mask & warp.waiting;
  self.mask = mask;
  self.operand = operand;
  self.order =
      here != 0 ? warp.lanes[std::countr_zero(here)]->order : &warp.orders[warp.meetings++ % std::size(warp.orders)];
  if (meeting == Meeting::syncwarp) self.order->release();
  if ((here | own) != mask) {
    warp.waiting |= own;
    block->wait_at(meeting);
  } else {
    for_lanes(here, [&](int lane) {
      const Thread& other = *warp.lanes[lane];
      if (*other.waits_at == meeting && other.mask == mask) return;
      fail("lane %d waits at %s of lanes 0x%08x, and lane %d came to %s of lanes 0x%08x", lane, name(*other.waits_at),
           other.mask, self.lane, name(meeting), mask);
    });
    complete(warp);
    warp.waiting &= ~mask;
    for_lanes(here, [&](int lane) { block->make_ready(*warp.lanes[lane]); });
  }
  if (meeting == Meeting::syncwarp) self.order->acquire();
}

// Product `index` of every lane's queue: the warp's 16 rows of A by B's 128 columns.
void multiply(const Warp& warp, size_t index) {
  int8_t rows[16][32];  // of A
  for (int lane = 0; lane < kWarp; ++lane) {
    const Product& from = warp.lanes[lane]->products.at(index);
    for (int part = 0; part < 4; ++part)
      std::memcpy(&rows[lane / 4 + part % 2 * 8][part / 2 * 16 + lane % 4 * 4], &from.a[part], 4);
  }
  const Product& first = warp.lanes[0]->products[index];
  for (int n = 0; n < 128; ++n) {
    uint8_t bytes[32];
    int column[32];  // of B
    for (int k = 0; k < 32; k += 16) std::memcpy(bytes + k, swizzled(first.b + n * kSwizzleBytes + k), 16);
    for (int k = 0; k < 32; ++k) column[k] = first.is_signed ? static_cast<int8_t>(bytes[k]) : bytes[k];
    for (int m = 0; m < 16; ++m) {
      unsigned sum = 0;  // wraps
      for (int k = 0; k < 32; ++k) sum += static_cast<unsigned>(rows[m][k] * column[k]);
      int& element = warp.lanes[m % 8 * 4 + n % 8 / 2]->products[index].d[n / 8 * 4 + m / 8 * 2 + n % 2];
      element = static_cast<int>(static_cast<unsigned>(element) + sum);
    }
  }
}

}  // namespace

void meet_warp(unsigned mask) {
  meet(Meeting::syncwarp, mask, nullptr, [](Warp&) {});
}

unsigned vote_warp(Meeting kind, unsigned mask, bool vote) {
  unsigned votes = vote;
  meet(kind, mask, &votes, [=](const Warp& warp) {
    unsigned all = 0;
    for_lanes(mask, [&](int lane) { all |= operand<unsigned>(warp, lane) << lane; });
    for_lanes(mask, [&](int lane) { operand<unsigned>(warp, lane) = all; });
  });
  return votes;
}

uint64_t shuffle_warp(Meeting kind, unsigned mask, uint64_t value, int source) {
  struct Operand {
    uint64_t value, taken;
    int source;
  } mine{value, 0, source};
  meet(kind, mask, &mine, [=](const Warp& warp) {
    for_lanes(mask, [&](int lane) {
      Operand& to = operand<Operand>(warp, lane);
      if ((mask >> to.source & 1) == 0)
        fail("lane %d takes from lane %d in %s of lanes 0x%08x", lane, to.source, name(kind), mask);
      to.taken = operand<Operand>(warp, to.source).value;
    });
  });
  return mine.taken;
}

// Fragments lie in the lanes as the PTX manual shows them for m16n8k32 and 8-bit integers; see cuda/ptx.h.
void mma_warp(int (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, bool is_signed) {
  require_capability(8, "mma_16x8x32");
  struct Operand {
    int* d;
    const uint32_t* a;
    uint32_t b[2];
  } mine{d, a, {b0, b1}};
  meet(Meeting::mma, ~0u, &mine, [=](const Warp& warp) {
    int8_t rows[16][32];  // of A
    int columns[8][32];   // of B
    for (int lane = 0; lane < kWarp; ++lane) {
      const Operand& from = operand<Operand>(warp, lane);
      const int g = lane / 4, t = lane % 4;
      for (int half = 0; half < 2; ++half) {
        std::memcpy(&rows[g][16 * half + 4 * t], &from.a[2 * half], 4);
        std::memcpy(&rows[g + 8][16 * half + 4 * t], &from.a[2 * half + 1], 4);
        for (int i = 0; i < 4; ++i) {
          const uint8_t byte = static_cast<uint8_t>(from.b[half] >> 8 * i);
          columns[g][16 * half + 4 * t + i] = is_signed ? static_cast<int8_t>(byte) : byte;
        }
      }
    }
    for (int lane = 0; lane < kWarp; ++lane) {
      for (int i = 0; i < 4; ++i) {
        const int8_t* row = rows[lane / 4 + i / 2 * 8];
        const int* column = columns[lane % 4 * 2 + i % 2];
        unsigned sum = 0;  // wraps
        for (int k = 0; k < 32; ++k) sum += static_cast<unsigned>(row[k] * column[k]);
        int& element = operand<Operand>(warp, lane).d[i];
        element = static_cast<int>(static_cast<unsigned>(element) + sum);
      }
    }
  });
}

void wgmma(int (&d)[64], const uint32_t (&a)[4], const uint8_t* b, bool is_signed) {
  require_capability(9, "wgmma");
  Thread& self = block->running();
  const Unseen unseen;
  self.products.push_back({d, {a[0], a[1], a[2], a[3]}, b, is_signed, self.product_groups});
}

void wgmma_commit() { ++block->running().product_groups; }

void wgmma_wait(unsigned groups_left) {
  meet(Meeting::wgmma, ~0u, nullptr, [=](const Warp& warp) {
    const std::vector<Product>& queue = warp.lanes[0]->products;
    size_t count = 0;
    while (count < queue.size() && queue[count].group + groups_left < warp.lanes[0]->product_groups) ++count;
    for (size_t i = 0; i < count; ++i) multiply(warp, i);
    const Unseen unseen;
    for (Thread* lane : warp.lanes) {
      lane->products.erase(lane->products.begin(), lane->products.begin() + static_cast<std::ptrdiff_t>(count));
    }
  });
}

// ---- A lane alone ----------------------------------------------------------------------------------------------------

int lane() { return block->running().lane; }
void* shared_memory() { return block->shared(); }
void trap() { fail("it trapped"); }

// With an atomic between two fences, what was written before the first is seen after the second.
void fence() {
  static SyncObject order;
  order.acquire();
  order.release();
}

void copy_async(void* to, const void* from, int bytes, int valid) {
  require_capability(8, "copy_async");
  if (reinterpret_cast<uintptr_t>(to) % bytes != 0 || reinterpret_cast<uintptr_t>(from) % bytes != 0) {
    fail("misaligned copy_async of %d bytes from %p to %p", bytes, from, to);
  }
  if (valid < 0 || valid > bytes) fail("copy_async of %d bytes of %d", valid, bytes);
  Thread& self = block->running();
  self.copies.push_back({to, from, bytes, valid, self.groups});
}

void commit_copies() { ++block->running().groups; }

void wait_for_copies(unsigned groups_left) {
  Thread& self = block->running();
  auto copy = self.copies.begin();
  for (; copy != self.copies.end() && copy->group + groups_left < self.groups; ++copy) {
    std::memcpy(copy->to, copy->from, copy->valid);
    std::memset(static_cast<char*>(copy->to) + copy->valid, 0, copy->bytes - copy->valid);
  }
  self.copies.erase(self.copies.begin(), copy);
}

}  // namespace lowbit::emulation
