#include "block.h"

#include <dlfcn.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "emulated_device.h"
#include "float_environment.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace lowbit::emulation {

Block* block = nullptr;

const char* name(Meeting meeting) {
  constexpr const char* kNames[] = {"__syncthreads",   "__syncthreads_count", "__syncthreads_and", "__syncthreads_or",
                                    "__syncwarp",      "__shfl_sync",         "__shfl_up_sync",    "__shfl_down_sync",
                                    "__shfl_xor_sync", "__ballot_sync",       "__any_sync",        "__all_sync",
                                    "mma_16x8x32",     "wgmma_wait",          "barrier_wait"};
  return kNames[static_cast<int>(meeting)];
}

void fail(const char* format, ...) {
  const void* kernel = block->grid().kernel;
  Dl_info place{};
  dladdr(kernel, &place);
  const uint3 at = block->index();
  std::fprintf(stderr, "emulated device: kernel %s at %s+%#zx, block (%u, %u, %u): ",
               place.dli_sname != nullptr ? place.dli_sname : "", place.dli_fname,
               static_cast<size_t>(static_cast<const char*>(kernel) - static_cast<const char*>(place.dli_fbase)), at.x,
               at.y, at.z);
  va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  std::fputc('\n', stderr);
  std::abort();
}

void require_capability(int major, const char* what) {
  if (device.major >= major) return;
  fail("%s needs compute capability %d.0, the device has %d.%d", what, major, device.major.load(), device.minor.load());
}

void run(const Grid& grid) {
  // Threads that ThreadSanitizer is to see race must be different fibres, so neighbouring blocks have their own.
  static Block* const blocks = new Block[2];
  const int sets = thread_sanitizer() ? 2 : 1;
  const core::FloatEnvironment environment;
  gridDim = grid.blocks;
  blockDim = grid.threads;
  int turn = 0;
  for (unsigned z = 0; z < grid.blocks.z; ++z) {
    for (unsigned y = 0; y < grid.blocks.y; ++y) {
      for (unsigned x = 0; x < grid.blocks.x; ++x) {
        block = &blocks[turn++ % sets];
        block->run(grid, {x, y, z});
      }
    }
  }
  for (int set = 0; set < sets; ++set) blocks[set].order_after_threads();
}

// ---- A block's threads -----------------------------------------------------------------------------------------------

void Block::run(const Grid& grid, uint3 index) {
  grid_ = &grid;
  index_ = blockIdx = index;
  shared_ = allocate_filled(128, grid.shared_bytes);
  alive_ = size_ = size_t{grid.threads.x} * grid.threads.y * grid.threads.z;
  warps_.resize((size_ + kWarp - 1) / kWarp);
  for (Warp& warp : warps_) warp.alive = warp.waiting = 0;
  {
    const Unseen unseen;
    barriers.clear();
  }
  for (size_t i = 0; i < size_; ++i) prepare_thread(i);
  started_.release();
  Fiber host;
  host_ = &host;
  switch_from(host);
  shared_.reset();
}

void Block::prepare_thread(size_t i) {
  if (i == threads_.size()) threads_.push_back(std::make_unique<Thread>(run_threads));
  Thread& thread = *threads_[i];
  const unsigned row = static_cast<unsigned>(i / grid_->threads.x);
  thread.index = {static_cast<unsigned>(i % grid_->threads.x), row % grid_->threads.y, row / grid_->threads.y};
  thread.lane = static_cast<int>(i % kWarp);
  thread.warp = &warps_[i / kWarp];
  thread.warp->lanes[thread.lane] = &thread;
  thread.warp->alive |= 1u << thread.lane;
  thread.copies.clear();
  thread.products.clear();
  thread.groups = thread.product_groups = 0;
  make_ready(thread);
}

void Block::run_threads() {
  for (;;) {
    block->started_.acquire();
    block->grid_->body();
    block->ended_.release();
    block->leave();
  }
}

void Block::leave() {
  running_->warp->alive &= ~(1u << running_->lane);
  --alive_;
  switch_from(running_->fiber);
}

void Block::make_ready(Thread& thread) {
  thread.next_ready = ready_;
  ready_ = &thread;
}

void Block::switch_from(Fiber& fiber) {
  if (ready_ == nullptr) {
    if (alive_ > 0) report_stuck();
    return fiber.switch_to(*host_);
  }
  running_ = ready_;
  ready_ = running_->next_ready;
  threadIdx = running_->index;
  fiber.switch_to(running_->fiber);
}

void Block::wait_at(Meeting meeting) {
  Thread& self = *running_;
  self.waits_at = meeting;
  switch_from(self.fiber);
  self.waits_at.reset();
}

void Block::report_stuck() const {
  std::map<std::string, size_t> waiting;
  for (size_t i = 0; i < size_; ++i) {
    const Thread& thread = *threads_[i];
    if (!thread.waits_at) continue;
    char where[64];
    const bool is_warps = *thread.waits_at >= Meeting::syncwarp && *thread.waits_at != Meeting::barrier;
    std::snprintf(where, sizeof(where), is_warps ? "%s of lanes 0x%08x" : "%s", name(*thread.waits_at), thread.mask);
    ++waiting[where];
  }
  std::string all;
  for (const auto& [where, count] : waiting) all += std::to_string(count) + " wait at " + where + ", ";
  fail("its %zu threads cannot go on: %s%zu have returned", size_, all.c_str(), size_ - alive_);
}

// ---- The block's barrier ---------------------------------------------------------------------------------------------

unsigned Block::meet(Meeting meeting, bool vote) {
  if (arrived_ > 0 && meeting != meeting_)
    fail("threads wait at %s, and others came to %s", name(meeting_), name(meeting));
  meeting_ = meeting;
  votes_ += vote;
  SyncObject& order = orders_[passed_ % 2];
  order.release();
  if (++arrived_ < size_) {
    wait_at(meeting);
  } else {
    result_ = votes_;
    arrived_ = votes_ = 0;
    ++passed_;
    for (size_t i = 0; i < size_; ++i) {
      if (threads_[i].get() != running_) make_ready(*threads_[i]);
    }
  }
  order.acquire();
  return result_;
}

unsigned meet_block(Meeting kind, bool vote) { return block->meet(kind, vote); }

}  // namespace lowbit::emulation
