// Projections of many rows of activations with dp4a, for devices before sm_80 (and where mma is barred).
//
// Bound by the integer pipe: 64 dp4a a clock and multiprocessor, 8 operations each. A block makes 64 rows by 64
// columns. Panels of weights and rows of activations pass through shared memory, a step of K at a time; while one is
// multiplied the next is on its way in registers. A thread makes 4 rows by 4 columns: a quad of each is 4 + 4 words for
// 16 dp4a.
#include "kernels.h"
#include "launch.h"
#include "projection.h"
#include "ptx.h"
#include "tile_grid.h"

namespace lowbit::core::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kPanels = 2;
constexpr int kRows = 64;

template <lowbit_format kFormat>
struct Tile {
  using W = Weights<kFormat>;
  static constexpr int kPanelChunks = W::kRows * 8;
  static constexpr int kWeightChunks = kPanels * kPanelChunks;
  static constexpr int kRowChunks = W::kStep / 16;
  static constexpr int kInputChunks = kRows * kRowChunks;
  static constexpr int kWeightLoads = (kWeightChunks + kThreads - 1) / kThreads;
  static constexpr int kInputLoads = (kInputChunks + kThreads - 1) / kThreads;
  static constexpr size_t kSharedBytes = (kWeightChunks + kInputChunks) * sizeof(uint4);

  uint4 weights[kWeightLoads], inputs[kInputLoads];

  // A step from global memory into registers, zeros outside.
  __device__ __forceinline__ void load(const Problem& p, int m0, int z, int panel0, int step) {
    const int s = p.segment_steps.divide(step), at = step - s * p.segment_steps.value, panels = (p.N + 31) / 32;
#pragma unroll
    for (int i = 0; i < kWeightLoads; ++i) {
      const int chunk = i * kThreads + static_cast<int>(threadIdx.x), panel = panel0 + chunk / kPanelChunks;
      const bool is_there = chunk < kWeightChunks && panel < panels;
      const uint4* from = panel_of(p, z, panel) + s * p.segment_chunks + at * kPanelChunks + chunk % kPanelChunks;
      weights[i] = is_there ? *from : uint4{};
    }
#pragma unroll
    for (int i = 0; i < kInputLoads; ++i) {
      const int chunk = i * kThreads + static_cast<int>(threadIdx.x);
      const int m = m0 + chunk / kRowChunks, k = at * W::kStep + chunk % kRowChunks * 16;
      inputs[i] = m < p.M ? load_run(p, input_row(p, m, z) + s * p.segment_values, k) : uint4{};
    }
  }
  // Into shared memory: weights as they lie in a panel, then the rows' chunks [chunk][row].
  __device__ __forceinline__ void store(uint4* shared) const {
#pragma unroll
    for (int i = 0; i < kWeightLoads; ++i) {
      const int chunk = i * kThreads + static_cast<int>(threadIdx.x);
      if (chunk < kWeightChunks) shared[chunk] = weights[i];
    }
#pragma unroll
    for (int i = 0; i < kInputLoads; ++i) {
      const int chunk = i * kThreads + static_cast<int>(threadIdx.x);
      shared[kWeightChunks + chunk % kRowChunks * kRows + chunk / kRowChunks] = inputs[i];
    }
  }
};

template <lowbit_format kFormat, bool kSigned>
__global__ void __launch_bounds__(kThreads) tiles_dp4a(const Problem p, const TileGrid grid) {
  using T = Tile<kFormat>;
  using W = typename T::W;
  uint4* shared = dynamic_shared<uint4>();
  const TileGrid::Place place = grid.place();
  const int panel0 = place.column * kPanels, m0 = place.row * kRows, z = place.z;
  const int steps = p.S * p.segment_steps.value;
  // This thread's columns are chunk g of a panel; its rows are four, 16 apart.
  const int g = static_cast<int>(threadIdx.x) % 8, panel = static_cast<int>(threadIdx.x) / 8 % kPanels,
            row = static_cast<int>(threadIdx.x) / 16;

  int sums[4][4] = {}, activations[4] = {};
  T tile;
  tile.load(p, m0, z, panel0, 0);
  for (int step = 0; step < steps; ++step) {
    __syncthreads();
    tile.store(shared);
    __syncthreads();
    if (step + 1 < steps) tile.load(p, m0, z, panel0, step + 1);
    const int at = step - p.segment_steps.divide(step) * p.segment_steps.value;
    for (int run = 0; run < 4; ++run) {
      W weights;
#pragma unroll
      for (int i = 0; i < W::kLoads; ++i) {
        weights.words[i] = shared[panel * T::kPanelChunks + W::chunk(at, g, run, i) - at * T::kPanelChunks];
      }
#pragma unroll
      for (int q = 0; q < W::kQuads; ++q) {
        const uint4 quad = weights.quad(q);
        const int chunk = run * (T::kRowChunks / 4) + q / 4;
#pragma unroll
        for (int r = 0; r < 4; ++r) {
          const uint4& codes = shared[T::kWeightChunks + chunk * kRows + row + 16 * r];
          const uint32_t a = component(codes, q % 4);
#pragma unroll
          for (int c = 0; c < 4; ++c) sums[r][c] = dot4<kSigned>(component(quad, c), a, sums[r][c]);
          if constexpr (W::kOffset) activations[r] = dot4<kSigned>(0x01010101u, a, activations[r]);
        }
      }
    }
  }
  float inputs[4];
#pragma unroll
  for (int r = 0; r < 4; ++r) inputs[r] = input_scale(p, min(m0 + row + 16 * r, p.M - 1), z);
  const FourColumns columns(p, z, (panel0 + panel) * static_cast<int>(kPanel32Columns) + 4 * g);
#pragma unroll
  for (int r = 0; r < 4; ++r) {
#pragma unroll
    for (int c = 0; c < 4; ++c) sums[r][c] = W::signed_sum(sums[r][c], activations[r]);
    columns.store(p, m0 + row + 16 * r, z, inputs[r], sums[r]);
  }
}

}  // namespace

template <typename Operation>
Status project_dp4a_tiles(Stream& stream, const Operation& op) {
  Problem p{};
  LOWBIT_TRY(make_problem(op, &p));
  TileGrid grid;
  LOWBIT_TRY(make_tile_grid(p, ceil_div(p.M, kRows), ceil_div(p.N, kPanels * kPanel32Columns), &grid));
  return for_formats(*op.weight, op.input.format, [&]<lowbit_format kFormat, bool kSigned>() {
    return launch<tiles_dp4a<kFormat, kSigned>>(stream, {grid.blocks(p), kThreads, Tile<kFormat>::kSharedBytes}, p,
                                                grid);
  });
}

template Status project_dp4a_tiles(Stream&, const LowrankProjection&);
template Status project_dp4a_tiles(Stream&, const DecoderTail&);

}  // namespace lowbit::core::cuda
