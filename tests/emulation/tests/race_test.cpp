// ThreadSanitizer sees the threads of a kernel race, and is silent where they are ordered.
#include "emulation/ptx.h"
#include "emulation/tests/kernel_test.h"

extern "C" [[gnu::visibility("default")]] const char* __tsan_default_options() { return "halt_on_error=1"; }

namespace lowbit::test {
namespace {

using core::cuda::dynamic_shared;

#define EXPECT_RACE(statement) EXPECT_EXIT(statement, testing::ExitedWithCode(66), "data race")

enum class Order { nothing, shuffle, warp, block };

// Each thread reads what thread `threadIdx.x ^ partner` wrote.
template <Order kOrder>
__global__ void tell(unsigned partner) {
  unsigned* const shared = dynamic_shared<unsigned>();
  shared[threadIdx.x] = threadIdx.x;
  if (kOrder == Order::shuffle) __shfl_sync(~0u, 1, 0);
  if (kOrder == Order::warp) __syncwarp();
  if (kOrder == Order::block) __syncthreads();
  if (shared[threadIdx.x ^ partner] == ~0u) __trap();
}

TEST_F(EmulationDeathTest, LanesRace) {
  LOWBIT_NEEDS_THREAD_SANITIZER;
  run(tell<Order::warp>, 3, 64, 256, 1);
  run(tell<Order::block>, 3, 64, 256, 1);
  EXPECT_RACE(run(tell<Order::nothing>, 3, 64, 256, 1));
  EXPECT_RACE(run(tell<Order::shuffle>, 3, 64, 256, 1));
}

TEST_F(EmulationDeathTest, WarpsRace) {
  LOWBIT_NEEDS_THREAD_SANITIZER;
  run(tell<Order::block>, 3, 64, 256, 32);
  EXPECT_RACE(run(tell<Order::warp>, 3, 64, 256, 32));
}

__global__ void write_by_all_blocks(int* value) { *value = 1; }
__global__ void add_by_all_blocks(int* value) { atomicAdd(value, 1); }

TEST_F(EmulationDeathTest, BlocksRace) {
  LOWBIT_NEEDS_THREAD_SANITIZER;
  const DeviceArray<int> value(std::vector{0});
  run(add_by_all_blocks, 9, 1, 0, value.data());
  run(add_by_all_blocks, 9, 1, 0, value.data());  // launches are ordered
  EXPECT_EQ(value.values()[0], 18);
  EXPECT_RACE(run(write_by_all_blocks, 2, 1, 0, value.data()));
}

// Each block leaves a partial result; the last one to take a ticket adds them up.
template <bool kFences>
__global__ void sum_grid(int* partial, unsigned* ticket, int* sum) {
  int* const is_last = dynamic_shared<int>();
  if (threadIdx.x == 7) partial[blockIdx.x] = static_cast<int>(blockIdx.x);
  if (kFences) __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) *is_last = atomicAdd(ticket, 1) == gridDim.x - 1;
  __syncthreads();
  if (!*is_last) return;
  if (kFences) __threadfence();
  if (threadIdx.x == 3) {
    for (unsigned i = 0; i < gridDim.x; ++i) *sum += partial[i];
    atomicExch(ticket, 0u);
  }
}

TEST_F(EmulationDeathTest, ATicketIsWithoutFences) {
  const DeviceArray<int> partial(10), sum(std::vector{0});
  const DeviceArray<unsigned> ticket(std::vector{0u});
  run(sum_grid<true>, 10, 32, 4, partial.data(), ticket.data(), sum.data());
  EXPECT_EQ(sum.values()[0], 45);
  LOWBIT_NEEDS_THREAD_SANITIZER;
  EXPECT_RACE(run(sum_grid<false>, 10, 32, 4, partial.data(), ticket.data(), sum.data()));
}

}  // namespace
}  // namespace lowbit::test
