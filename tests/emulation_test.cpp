// The emulator runs kernels as CUDA does, and the faults of a kernel show: each beside the same done right. What
// ThreadSanitizer sees is in emulation/tests/race_test.cpp, the runtime API in emulation/tests/runtime_test.cpp.
#include "emulation/emulation.h"
#include "emulation/ptx.h"
#include "emulation/ptx_sm90a.h"
#include "emulation/tests/kernel_test.h"

namespace lowbit::test {
namespace {

using core::cuda::copy_async;
using core::cuda::copy_async_commit;
using core::cuda::copy_async_wait;
using core::cuda::dynamic_shared;

// ---- Threads, barriers and warps -------------------------------------------------------------------------------------

__global__ void number_threads(uint4* numbers) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  numbers[block * (blockDim.x * blockDim.y * blockDim.z) + thread] =
      make_uint4(block, threadIdx.x, threadIdx.y, threadIdx.z);
}

TEST(EmulatedThreads, AreNumberedInThreeDimensions) {
  const DeviceArray<uint4> numbers(2 * 3 * 4 * 60);
  run(number_threads, dim3(2, 3, 4), dim3(3, 4, 5), 0, numbers.data());
  const std::vector<uint4> got = numbers.values();
  for (unsigned i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].x, i / 60);
    EXPECT_EQ((got[i].w * 4 + got[i].z) * 3 + got[i].y, i % 60);
  }
}

// Sums 0 to blockDim.x - 1, by halves.
template <bool kAllThreadsWait>
__global__ void sum_block(int* sum) {
  int* const shared = dynamic_shared<int>();
  const unsigned t = threadIdx.x;
  shared[t] = static_cast<int>(t);
  __syncthreads();
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    if (t < half) {
      shared[t] += shared[t + half];
      if (!kAllThreadsWait) __syncthreads();
    }
    if (kAllThreadsWait) __syncthreads();
  }
  if (t == 0) *sum = shared[0];
}

TEST(EmulatedBarrier, IsPassedByAllThreads) {
  const DeviceArray<int> sum(1);
  run(sum_block<true>, 1, 256, 1024, sum.data());
  EXPECT_EQ(sum.values()[0], 255 * 256 / 2);
}

TEST_F(EmulationDeathTest, ABarrierIsMissed) {
  const DeviceArray<int> sum(1);
  EXPECT_DEATH(run(sum_block<false>, 1, 256, 1024, sum.data()),
               "block \\(0, 0, 0\\): its 256 threads cannot go on: 128 wait at __syncthreads, 128 have returned");
}

__global__ void count_votes(int* results) {
  const int odd = threadIdx.x % 2;
  const int count = __syncthreads_count(odd), both = __syncthreads_and(odd), either = __syncthreads_or(odd);
  if (threadIdx.x == 0) results[0] = count, results[1] = both, results[2] = either;
}

TEST(EmulatedBarrier, CountsVotes) {
  const DeviceArray<int> results(3);
  run(count_votes, 1, 96, 0, results.data());
  EXPECT_EQ(results.values(), (std::vector{48, 0, 1}));
}

__global__ void shuffle_all_ways(int64_t* out) {
  const int lane = static_cast<int>(threadIdx.x);
  const int64_t value = 1000000000000 + lane;
  int64_t* const mine = out + 7 * lane;
  mine[0] = __shfl_sync(~0u, value, lane + 3);
  mine[1] = __shfl_up_sync(~0u, value, 2, 8);
  mine[2] = __shfl_down_sync(~0u, value, 2, 8);
  mine[3] = __shfl_xor_sync(~0u, value, 5);
  mine[4] = __ballot_sync(~0u, lane % 3 == 0);
  mine[5] = __any_sync(~0u, lane == 7);
  mine[6] = __all_sync(~0u, lane != 7);
}

TEST(EmulatedWarp, ShufflesAndVotes) {
  const DeviceArray<int64_t> out(7 * 32);
  run(shuffle_all_ways, 1, 32, 0, out.data());
  const std::vector<int64_t> got = out.values();
  for (int lane = 0; lane < 32; ++lane) {
    const int64_t base = 1000000000000, *mine = &got[7 * lane];
    EXPECT_EQ(mine[0], base + (lane + 3) % 32);
    EXPECT_EQ(mine[1], base + (lane % 8 < 2 ? lane : lane - 2));
    EXPECT_EQ(mine[2], base + (lane % 8 < 6 ? lane + 2 : lane));
    EXPECT_EQ(mine[3], base + (lane ^ 5));
    EXPECT_EQ(mine[4], 0x49249249);
    EXPECT_EQ(mine[5], 1);
    EXPECT_EQ(mine[6], 0);
  }
}

__global__ void shuffle_without_lane_3() {
  if (threadIdx.x != 3) __shfl_sync(~0u, 1, 0);
}
__global__ void shuffle_and_vote() { threadIdx.x < 9 ? __shfl_sync(~0u, 1, 0) : __any_sync(~0u, 1); }
__global__ void shuffle_under_two_masks() { __shfl_sync(threadIdx.x < 16 ? ~0u : 0xffff0000u, 1, 16); }

TEST_F(EmulationDeathTest, AWarpMissesALane) {
  EXPECT_DEATH(run(shuffle_without_lane_3, 1, 32, 0), "0x00000008 have returned or never were");
  EXPECT_DEATH(run(shuffle_and_vote, 1, 32, 0), "lane .* waits at __.*, and lane .* came to __");
  EXPECT_DEATH(run(shuffle_under_two_masks, 1, 32, 0), "of lanes 0xffffffff: of these, 0xffff0000 have returned");
}

// ---- Memory ----------------------------------------------------------------------------------------------------------

// Reverses a block's values by shared memory.
template <bool kWritesAll>
__global__ void reverse(int* values) {
  int* const shared = dynamic_shared<int>();
  if (kWritesAll || threadIdx.x != 5) shared[threadIdx.x] = values[threadIdx.x];
  __syncthreads();
  values[threadIdx.x] = shared[blockDim.x - 1 - threadIdx.x];
}

template <typename Kernel>
bool depends_on_unwritten_memory(Kernel kernel) {
  std::vector<int> results[2];
  for (const uint8_t pattern : {0x00, 0xff}) {
    emulation::set_fill_pattern(pattern);
    const DeviceArray<int> values(std::vector<int>(64, 17));
    run(kernel, 1, 64, 256, values.data());
    results[pattern & 1] = values.values();
  }
  return results[0] != results[1];
}

TEST(EmulatedMemory, ShowsUnwrittenSharedMemory) {
  EXPECT_FALSE(depends_on_unwritten_memory(reverse<true>));
  EXPECT_TRUE(depends_on_unwritten_memory(reverse<false>));
}

template <bool kWaits>
__global__ void copy_to_shared(int* values) {
  int* const shared = dynamic_shared<int>();
  copy_async<4>(shared + threadIdx.x, values + threadIdx.x, 4);
  copy_async_commit();
  copy_async<4>(shared + threadIdx.x, values + threadIdx.x, 1);  // of a group that nobody waits for
  copy_async_commit();
  if (kWaits) copy_async_wait<1>();
  __syncthreads();
  values[threadIdx.x] = shared[blockDim.x - 1 - threadIdx.x];
}

TEST(EmulatedMemory, ShowsAnAsynchronousCopyThatWasNotWaitedFor) {
  EXPECT_FALSE(depends_on_unwritten_memory(copy_to_shared<true>));
  EXPECT_TRUE(depends_on_unwritten_memory(copy_to_shared<false>));
}

__global__ void copy_10_of_16(uint4* values) {
  copy_async<16>(dynamic_shared<uint4>(), values, 10);
  copy_async_commit();
  copy_async_wait<0>();
  values[1] = *dynamic_shared<uint4>();
}

TEST(EmulatedMemory, FillsACopyWithZeros) {
  const DeviceArray<uint4> values(std::vector<uint4>(2, {~0u, ~0u, ~0u, ~0u}));
  run(copy_10_of_16, 1, 1, 16, values.data());
  const uint4 copied = values.values()[1];
  EXPECT_EQ(copied.y, ~0u);
  EXPECT_EQ(copied.z, 0xffffu);
  EXPECT_EQ(copied.w, 0u);
}

__global__ void write_shared(int index) { dynamic_shared<int>()[index] = 1; }
__global__ void write_global(int* values, int index) { values[index] = 1; }
__global__ void copy_16_bytes(const int* values) {
  copy_async<16>(dynamic_shared<uint4>(), values, 16);
  copy_async_commit();
  copy_async_wait<0>();
}
__global__ void read_uint4(const char* bytes, unsigned* to, int offset) {
  *to = reinterpret_cast<const uint4*>(bytes + offset)->y;
}

TEST_F(EmulationDeathTest, MemoryIsOverrun) {
  LOWBIT_NEEDS_ADDRESS_SANITIZER;
  const DeviceArray<int> values(10);
  run(write_shared, 1, 1, 40, 9);
  run(write_global, 1, 1, 0, values.data(), 9);
  EXPECT_DEATH(run(write_shared, 1, 1, 40, 10), "heap-buffer-overflow");
  EXPECT_DEATH(run(write_global, 1, 1, 0, values.data(), 10), "heap-buffer-overflow");
  const DeviceArray<int> four(4), three(3);
  run(copy_16_bytes, 1, 1, 16, four.data());
  EXPECT_DEATH(run(copy_16_bytes, 1, 1, 16, three.data()), "heap-buffer-overflow");
  EXPECT_DEATH(run(copy_16_bytes, 1, 1, 15, four.data()), "heap-buffer-overflow");
}

TEST_F(EmulationDeathTest, MemoryIsMisaligned) {
  LOWBIT_NEEDS_ADDRESS_SANITIZER;  // which comes with UndefinedBehaviorSanitizer
  const DeviceArray<char> bytes(64);
  const DeviceArray<unsigned> to(1);
  run(read_uint4, 1, 1, 0, bytes.data(), to.data(), 16);
  EXPECT_DEATH(run(read_uint4, 1, 1, 0, bytes.data(), to.data(), 8), "misaligned address");
}

// ---- Integer dot products --------------------------------------------------------------------------------------------

template <bool kSigned>
int activation(int8_t byte) {
  return kSigned ? byte : static_cast<uint8_t>(byte);
}

template <bool kSigned>
__global__ void multiply_tile(const int8_t* a, const int8_t* b, int* d) {
  const int g = static_cast<int>(threadIdx.x) / 4, t = static_cast<int>(threadIdx.x) % 4;
  const auto word = [](const int8_t* row, int k) { return *reinterpret_cast<const uint32_t*>(row + k); };
  const uint32_t fragment[4] = {word(a + 32 * g, 4 * t), word(a + 32 * (g + 8), 4 * t), word(a + 32 * g, 16 + 4 * t),
                                word(a + 32 * (g + 8), 16 + 4 * t)};
  int sums[4] = {1000, 1001, 1002, 1003};
  core::cuda::mma_16x8x32<kSigned>(sums, fragment, word(b + 32 * g, 4 * t), word(b + 32 * g, 16 + 4 * t));
  for (int i = 0; i < 4; ++i) d[8 * (g + i / 2 * 8) + 2 * t + i % 2] = sums[i] - 1000 - i;
}

template <bool kSigned>
void expect_tile_product() {
  std::vector<int8_t> a(16 * 32), b(8 * 32);  // b: [column, k]
  for (int i = 0; i < 512; ++i) a[i] = static_cast<int8_t>(i * i * 7 + i * 31);
  for (int i = 0; i < 256; ++i) b[i] = static_cast<int8_t>(i * i * 5 + i * 13);
  const DeviceArray<int8_t> device_a(a), device_b(b);
  const DeviceArray<int> device_d(16 * 8);
  run(multiply_tile<kSigned>, 1, 32, 0, device_a.data(), device_b.data(), device_d.data());
  const std::vector<int> d = device_d.values();
  for (int i = 0; i < 16 * 8; ++i) {
    int sum = 0;
    for (int k = 0; k < 32; ++k) sum += a[i / 8 * 32 + k] * activation<kSigned>(b[i % 8 * 32 + k]);
    EXPECT_EQ(d[i], sum) << i;
  }
}

TEST(EmulatedDotProducts, MultiplyTiles) {
  expect_tile_product<true>();
  expect_tile_product<false>();
}

// One warpgroup: D = A B, with B by a tensor copy of rows 3.. of `b` [140 rows][K 40], of which K 8.. counts.
template <bool kSigned>
__global__ void multiply_by_warpgroup(const int8_t* a, core::cuda::TensorMap b, int* d, int bytes) {
  struct alignas(1024) Shared {
    uint8_t rows[128][128];
    uint64_t full;
  };
  Shared& shared = *core::cuda::aligned_shared<Shared>();
  const int warp = static_cast<int>(threadIdx.x) / 32, g = static_cast<int>(threadIdx.x) % 32 / 4,
            t = static_cast<int>(threadIdx.x) % 4;
  if (threadIdx.x == 0) {
    core::cuda::barrier_init(&shared.full, 1);
    core::cuda::barrier_expect(&shared.full, bytes);
    core::cuda::copy_box(shared.rows, &b, 8, 3, 0, 0, &shared.full);
  }
  __syncthreads();
  core::cuda::barrier_wait(&shared.full, 0);
  const int8_t* rows = a + 16 * warp * 32;
  const auto word = [&](int row, int k) { return *reinterpret_cast<const uint32_t*>(rows + 32 * row + k); };
  const uint32_t fragment[4] = {word(g, 4 * t), word(g + 8, 4 * t), word(g, 16 + 4 * t), word(g + 8, 16 + 4 * t)};
  int sums[64] = {};
  core::cuda::wgmma_fence();
  core::cuda::wgmma_64x128x32<kSigned>(sums, fragment, core::cuda::wgmma_operand(shared.rows));
  core::cuda::wgmma_commit();
  core::cuda::wgmma_wait<0>();
  for (int i = 0; i < 64; ++i) {
    d[(16 * warp + g + i % 4 / 2 * 8) * 128 + i / 4 * 8 + 2 * t + i % 2] = sums[i];
  }
}

template <bool kSigned>
void expect_warpgroup_product() {
  std::vector<int8_t> a(64 * 32), b(140 * 48);
  for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<int8_t>(i * i * 7 + i * 31);
  for (size_t i = 0; i < b.size(); ++i) b[i] = static_cast<int8_t>(i * i * 5 + i * 13);
  const DeviceArray<int8_t> device_a(a), device_b(b);
  const DeviceArray<int> device_d(64 * 128);
  core::cuda::TensorMap map;
  const uint64_t size = b.size();
  ASSERT_TRUE(
      core::cuda::make_tensor_map("a test", {device_b.data(), {37, 130, 1, 1}, {48, size, size}, 128, 128}, &map).ok());
  run(multiply_by_warpgroup<kSigned>, 1, 128, 128 * 128 + 2048, device_a.data(), map, device_d.data(), 128 * 128);
  const std::vector<int> d = device_d.values();
  for (int m = 0; m < 64; ++m) {
    for (int n = 0; n < 128; ++n) {
      int sum = 0;
      for (int k = 0; k < 32 && k + 8 < 37 && n + 3 < 130; ++k)  // zeros outside
        sum += a[32 * m + k] * activation<kSigned>(b[48 * (n + 3) + k + 8]);
      EXPECT_EQ(d[128 * m + n], sum) << m << ", " << n;
    }
  }
}

TEST(EmulatedDotProducts, MultiplyByWarpgroup) {
  expect_warpgroup_product<true>();
  expect_warpgroup_product<false>();
}

TEST_F(EmulationDeathTest, ABarrierWaitsForBytesThatDoNotCome) {
  const DeviceArray<int8_t> bytes(128 * 128);
  const DeviceArray<int> d(64 * 128);
  core::cuda::TensorMap map;
  ASSERT_TRUE(
      core::cuda::make_tensor_map("a test", {bytes.data(), {128, 128, 1, 1}, {128, 128, 128}, 128, 128}, &map).ok());
  EXPECT_DEATH(run(multiply_by_warpgroup<true>, 1, 128, 128 * 128 + 2048, bytes.data(), map, d.data(), 128),
               "128 wait at barrier_wait");
}

TEST(EmulatedDriver, RefusesMisalignedTensors) {
  const DeviceArray<int8_t> bytes(1024);
  core::cuda::TensorMap map;
  EXPECT_FALSE(
      core::cuda::make_tensor_map("a test", {bytes.data() + 4, {64, 8, 1, 1}, {64, 512, 512}, 128, 8}, &map).ok());
  EXPECT_FALSE(core::cuda::make_tensor_map("a test", {bytes.data(), {60, 8, 1, 1}, {60, 480, 480}, 128, 8}, &map).ok());
}

TEST_F(EmulationDeathTest, ADeviceBeforeSm80MultipliesTiles) {
  const DeviceArray<int8_t> bytes(512);
  const DeviceArray<int> d(128);
  emulation::set_compute_capability(7, 5);
  EXPECT_DEATH(run(multiply_tile<true>, 1, 32, 0, bytes.data(), bytes.data(), d.data()),
               "needs compute capability 8.0");
  emulation::set_compute_capability(9, 0);
}

TEST(EmulatedDotProducts, MultiplyFourBytes) {
  EXPECT_EQ(core::cuda::dot4<true>(0x80ff017f, 0x7f80ff01, 10), 10 + 127 - 1 + 128 - 128 * 127);
  EXPECT_EQ(core::cuda::dot4<false>(0x80ff017f, 0x7f80ff01, 10), 10 + 127 + 255 - 128 - 128 * 127);
}

}  // namespace
}  // namespace lowbit::test
