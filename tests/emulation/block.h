// A kernel's block: its threads are fibres, each runs until it waits for the others. A barrier that cannot be passed,
// because some thread waits elsewhere or has returned, ends the program with a report of who waits where.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "bulk_copies.h"
#include "collectives.h"
#include "exact_memory.h"
#include "fiber.h"
#include "sanitizers.h"
#include "vectors.h"

namespace lowbit::emulation {

constexpr int kWarp = 32;

struct Grid {
  const void* kernel;  // for reports
  dim3 blocks, threads;
  size_t shared_bytes;
  std::function<void()> body;  // of one thread
};

// Runs the blocks one after another. No block is ordered with the next one: ThreadSanitizer sees them race.
void run(const Grid& grid);

// Says which kernel and which block it was, and aborts.
[[noreturn, gnu::format(printf, 1, 2)]] void fail(const char* format, ...);
// Fails on a device before compute capability `major`.0.
void require_capability(int major, const char* what);
// As CUDA writes it: "__shfl_xor_sync".
const char* name(Meeting meeting);

struct AsyncCopy {
  void* to;
  const void* from;
  int bytes, valid;
  unsigned group;
};

struct BulkCopy {
  void* to;
  const void* from;
  int bytes;
  std::optional<core::cuda::BoxedBytes> box;  // then `from` is the box that starts at `first`
  std::array<int64_t, 4> first;
};
struct Thread;
struct Barrier {
  int arrivals, pending;
  int64_t bytes;  // announced, and not there yet
  unsigned phase;
  std::vector<BulkCopy> copies;
  std::vector<Thread*> waiting;
  SyncObject order;
};

// A lane's share of a wgmma.
struct Product {
  int* d;
  uint32_t a[4];
  const uint8_t* b;
  bool is_signed;
  unsigned group;
};

struct Warp;
struct Thread {
  explicit Thread(void (*body)()) : fiber(body) {}

  Fiber fiber;
  uint3 index;
  int lane;
  Warp* warp;
  Thread* next_ready;

  std::optional<Meeting> waits_at;
  // Of a warp's meeting.
  unsigned mask;
  void* operand;      // what the thread brings to it and takes from it
  SyncObject* order;  // of the memory of those who meet

  std::vector<AsyncCopy> copies;
  unsigned groups;  // of copies that were committed
  std::vector<Product> products;
  unsigned product_groups;
};

struct Warp {
  Thread* lanes[kWarp];
  unsigned alive, waiting;  // masks
  // Taken in turn, so that a lane that is late in going on does not see what others released since.
  SyncObject orders[2 * kWarp];
  unsigned meetings;
};

class Block {
 public:
  void run(const Grid& grid, uint3 index);
  void order_after_threads() { ended_.acquire(); }

  // Of the running thread.
  Thread& running() { return *running_; }
  void wait_at(Meeting meeting);  // until somebody makes it ready
  unsigned meet(Meeting meeting, bool vote);

  void make_ready(Thread& thread);

  const Grid& grid() const { return *grid_; }
  uint3 index() const { return index_; }
  void* shared() const { return shared_.get(); }

  std::map<const uint64_t*, Barrier> barriers;  // by their place in shared memory

 private:
  static void run_threads();  // what a fibre does, block after block
  void prepare_thread(size_t i);
  void leave();
  void switch_from(Fiber& fiber);
  [[noreturn]] void report_stuck() const;

  const Grid* grid_ = nullptr;
  uint3 index_{};
  Memory shared_;
  std::vector<std::unique_ptr<Thread>> threads_;  // as many as any block had
  size_t size_ = 0;                               // of this block
  size_t alive_ = 0;
  std::vector<Warp> warps_;
  Fiber* host_ = nullptr;
  Thread* running_ = nullptr;
  Thread* ready_ = nullptr;  // the last to become ready runs first: a warp goes on while it is in the cache

  // Of the block's barrier.
  Meeting meeting_{};
  size_t arrived_ = 0;
  unsigned votes_ = 0, result_ = 0, passed_ = 0;
  SyncObject orders_[2];  // in turn, as a warp's
  SyncObject started_, ended_;
};

extern Block* block;  // that runs

}  // namespace lowbit::emulation
