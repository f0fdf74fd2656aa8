// Projections of many rows of activations onto int8 weights with wgmma and TMA (sm_90a).
//
// M 4096, K 4096, N 16384: 550 G operations, 0.28 ms at the H200's 1979 TOPS. Shared memory is the other limit: a step
// of 32 of K keeps the tensor cores busy for 256 clocks, in which wgmma reads 16 KB of activations, lanes read 8 KB of
// weights, and 12 KB are written: 288 clocks at 128 bytes each, so 89 % of the peak is the most. A block makes 256
// columns by 128 rows. One warp feeds four stages of 128 steps of K: panels in bulk, as they lie in memory, and a box
// of activations. Two warpgroups of 128 columns each hold weights as the operand in registers: a warp has a panel, and
// its columns 4g + 2s, 4g + 2s + 1 are the rows g, g + 8 of product s. While one loads its weights the other
// multiplies; a load under its own wgmma would make the compiler run them one by one.
#include "kernels.h"
#include "launch.h"
#include "projection.h"
#include "ptx.h"
#include "ptx_sm90a.h"
#include "tile_grid.h"
#include "warp.h"

namespace lowbit::core::cuda {
namespace {

constexpr int kStages = 4;
constexpr int kDepth = 128;  // steps of K a stage
constexpr int kGroupThreads = 4 * kWarp;
constexpr int kGroups = 2;  // warpgroups that multiply; one more feeds them
constexpr int kPanels = 4 * kGroups;
constexpr int kRows = 128;  // of activations
constexpr int kThreads = kGroupThreads * (kGroups + 1);
constexpr int kPanelChunks = kDepth * static_cast<int>(kPanel32Columns) / 16;

struct alignas(1024) Stage {  // as the swizzle wants it
  uint8_t activations[kRows * kDepth];
  uint4 weights[kPanels][kPanelChunks];
};
struct Shared {
  Stage stages[kStages];
  uint64_t full[kStages], empty[kStages];
};
constexpr size_t kSharedBytes = sizeof(Shared) + alignof(Stage);

// Rows of activations that lie evenly; a tile does not reach from one batch into the next.
struct Batches {
  int rows;               // of a batch
  Divisor tiles;          // of a batch
  Divisor segment_steps;  // of kDepth
};

// A block's place.
struct BlockTile {
  int batch, row, panel, z;  // the first row within the batch, the first panel
  Divisor segment_steps;     // of kDepth, as all steps
  int steps;
  __device__ BlockTile(const Problem& p, const Batches& batches, const TileGrid::Place& place)
      : batch(batches.tiles.divide(place.row)),
        row((place.row - batch * batches.tiles.value) * kRows),
        panel(place.column * kPanels),
        z(place.z),
        segment_steps(batches.segment_steps),
        steps(p.S * segment_steps.value) {}
};

// By one warp: brings every step, in the order in which they are multiplied. Lane 0 brings activations, lane i panel i.
__device__ void feed(const Problem& p, const TensorMap& activations, const BlockTile& tile, Shared& shared) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp, panels = min(kPanels, (p.N + 31) / 32 - tile.panel);
  const uint4* panel = panel_of(p, tile.z, tile.panel + min(lane, panels - 1));
  for (int step = 0; step < tile.steps; ++step) {
    const int stage = step % kStages, s = tile.segment_steps.divide(step), at = step - s * tile.segment_steps.value;
    Stage& to = shared.stages[stage];
    uint64_t* full = &shared.full[stage];
    if (step >= kStages) barrier_wait(&shared.empty[stage], (step / kStages - 1) & 1);
    // A panel may end in half a stage: the rest, whatever it holds, meets activations that are zero.
    const int chunks = static_cast<int>(min(int64_t{kPanelChunks}, p.panel_chunks - int64_t{at} * kPanelChunks));
    if (lane == 0) {
      barrier_expect(full, kRows * kDepth + panels * chunks * 16);
      copy_box(to.activations, &activations, at * kDepth, tile.row, p.input_head == 0 ? 0 : tile.z + s, tile.batch,
               full);
    }
    __syncwarp();
    if (lane < panels) copy_bulk(to.weights[lane], panel + s * p.segment_chunks + at * kPanelChunks, chunks * 16, full);
  }
}

// A panel in a stage, as operands: [32 steps of K][s].
__device__ __forceinline__ void load_weights(const uint4* chunks, int g, int t, uint32_t (&a)[kDepth / 32][2][4]) {
#pragma unroll
  for (int k = 0; k < kDepth / 32; ++k) {
    // Rows of the panel: the quads of steps 4t.. and 16 + 4t... Chunks are permuted alike in every stage.
    const uint4 low = chunks[panel32_chunk(8 * k + t, g)], high = chunks[panel32_chunk(8 * k + 4 + t, g)];
    a[k][0][0] = low.x, a[k][0][1] = low.y, a[k][0][2] = high.x, a[k][0][3] = high.y;
    a[k][1][0] = low.z, a[k][1][1] = low.w, a[k][1][2] = high.z, a[k][1][3] = high.w;
  }
}

template <bool kSigned>
__global__ void __launch_bounds__(kThreads, 1) tiles_wgmma(const Problem p, const TileGrid grid, const Batches batches,
                                                           const __grid_constant__ TensorMap activations) {
  Shared& shared = *aligned_shared<Shared>();
  const int thread = static_cast<int>(threadIdx.x);
  const BlockTile tile(p, batches, grid.place());
  if (thread == 0) {
    for (int stage = 0; stage < kStages; ++stage) {
      barrier_init(&shared.full[stage], 1);
      barrier_init(&shared.empty[stage], 4 * kGroups);  // the warps that multiply
    }
    barrier_init_done();
  }
  __syncthreads();
  if (thread / kGroupThreads == kGroups) {
    shrink_registers<40>();
    if (thread % kGroupThreads < kWarp) feed(p, activations, tile, shared);
    return;
  }
  grow_registers<232>();

  const int warp = thread / kWarp, lane = thread % kWarp, g = lane / 4, t = lane % 4;
  int sums[2][64] = {};
  for (int step = 0; step < tile.steps; ++step) {
    const Stage& stage = shared.stages[step % kStages];
    uint32_t weights[kDepth / 32][2][4];
    barrier_wait(&shared.full[step % kStages], step / kStages & 1);
    load_weights(stage.weights[warp], g, t, weights);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < kDepth / 32; ++k) {
      const uint64_t operand = wgmma_operand(stage.activations + 32 * k);
      wgmma_64x128x32<kSigned>(sums[0], weights[k][0], operand);
      wgmma_64x128x32<kSigned>(sums[1], weights[k][1], operand);
    }
    wgmma_commit();
    wgmma_wait<0>();
    __syncwarp();  // the other lanes have read their weights, too
    if (lane == 0) barrier_arrive(&shared.empty[step % kStages]);
  }

  const FourColumns columns(p, tile.z, (tile.panel + warp) * static_cast<int>(kPanel32Columns) + 4 * g);
  const auto row_of = [&](int i) { return tile.row + 8 * (i / 2) + 2 * t + i % 2; };  // of the lane's rows
  constexpr int kAtOnce = 16;  // rows whose scales are asked for before the first is used
#pragma unroll
  for (int first = 0; first < kRows / 4; first += kAtOnce) {
    float inputs[kAtOnce];
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      inputs[i] = input_scale(p, tile.batch * batches.rows + min(row_of(first + i), batches.rows - 1), tile.z);
    }
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      const int row = row_of(first + i), at = 4 * ((first + i) / 2) + i % 2;
      const int outputs[4] = {sums[0][at], sums[0][at + 2], sums[1][at], sums[1][at + 2]};
      if (row < batches.rows) columns.store(p, tile.batch * batches.rows + row, tile.z, inputs[i], outputs);
    }
  }
}

template <bool kSigned>
Status launch_tiles(Stream& stream, const Problem& p, const Batches& batches, const TensorMap& activations) {
  const int64_t row_tiles = int64_t{p.M / batches.rows} * batches.tiles.value;
  TileGrid grid;
  LOWBIT_TRY(make_tile_grid(p, row_tiles, ceil_div(p.N, kPanels * kPanel32Columns), &grid));
  return launch<tiles_wgmma<kSigned>>(stream, {grid.blocks(p), kThreads, kSharedBytes}, p, grid, batches, activations);
}

}  // namespace

template <typename Operation>
Status project_wgmma(Stream& stream, const Operation& op) {
  Problem p{};
  LOWBIT_TRY(make_problem(op, &p));
  // Where there is one head, batches follow each other evenly.
  const int heads = p.input_batch / p.T.value, rows = heads == 1 ? p.M : p.T.value;
  const Batches batches{rows, Divisor(static_cast<int>(ceil_div(rows, kRows))),
                        Divisor(static_cast<int>(ceil_div(p.K, kDepth)))};
  const auto row_bytes = static_cast<uint64_t>(p.value_stride) * sizeof(uint32_t),
             row_count = static_cast<uint64_t>(rows), head_count = static_cast<uint64_t>(heads);
  const BoxedBytes codes{
      .data = p.values,
      .extents = {static_cast<uint64_t>(p.K), row_count, head_count, static_cast<uint64_t>(p.M / rows)},
      .strides = {row_bytes, row_bytes * row_count, row_bytes * row_count * head_count},
      .box_bytes = kDepth,
      .box_rows = kRows,
  };
  TensorMap activations;
  LOWBIT_TRY(make_tensor_map("input.values", codes, &activations));
  return op.input.format == LOWBIT_UINT8 ? launch_tiles<false>(stream, p, batches, activations)
                                         : launch_tiles<true>(stream, p, batches, activations);
}

template Status project_wgmma(Stream&, const LowrankProjection&);
template Status project_wgmma(Stream&, const DecoderTail&);

}  // namespace lowbit::core::cuda
