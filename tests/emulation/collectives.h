// Where the threads of a block or of a warp meet. Called by the running thread of a kernel.
#pragma once

#include <cstdint>

namespace lowbit::emulation {

enum class Meeting {
  syncthreads,
  syncthreads_count,
  syncthreads_and,
  syncthreads_or,
  syncwarp,
  shfl,
  shfl_up,
  shfl_down,
  shfl_xor,
  ballot,
  any,
  all,
  mma,
  wgmma,
  barrier,  // in shared memory: whoever waits there
};

// All threads of the block; returns how many came with `vote`.
unsigned meet_block(Meeting kind, bool vote);

// The lanes that the mask names.
void meet_warp(unsigned mask);                                                   // and orders their memory
unsigned vote_warp(Meeting kind, unsigned mask, bool vote);                      // the lanes that came with `vote`
uint64_t shuffle_warp(Meeting kind, unsigned mask, uint64_t value, int source);  // the value that lane `source` brought
void mma_warp(int (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, bool is_signed);

// Products happen when their group is waited for: an operand that is overwritten before shows as a wrong product.
void wgmma(int (&d)[64], const uint32_t (&a)[4], const uint8_t* b, bool is_signed);
void wgmma_commit();
void wgmma_wait(unsigned groups_left);

int lane();
void* shared_memory();
void fence();
void trap();

// A copy happens when its group is waited for: a wait that is missing shows as unwritten shared memory.
void copy_async(void* to, const void* from, int bytes, int valid);
void commit_copies();
void wait_for_copies(unsigned groups_left);

}  // namespace lowbit::emulation
