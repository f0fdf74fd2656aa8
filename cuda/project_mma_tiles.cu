// Projections of many rows of activations with mma.sync m16n8k32 (sm_80 and up).
//
// M 4096, K 4096, N 16384 int8: 550 G operations, 0.28 ms at the H200's 1979 TOPS, of which mma.sync reaches about two
// thirds; bytes (16 + 64 + 268 MB) are a quarter of that. A block makes a tile of outputs from panels of weights and
// rows of activations that a three-stage cp.async pipeline brings to shared memory, a step of K a stage. Weights lie
// there as in global memory, permuted so that reading fragments strikes every bank once; activations as [16-byte
// run][row][lane], likewise. Four warps, 2 x 2; two 16-byte reads feed four to eight mma. The outputs of a lane are
// four columns side by side: scaled in registers and stored as 16 bytes.
#include "kernels.h"
#include "launch.h"
#include "mma_operands.h"
#include "tile_grid.h"
#include "tuning.h"

namespace lowbit::core::cuda {
namespace {

constexpr int kThreads = 4 * kWarp;

// A block's tile: 2 warps of kPanels panels by 2 warps of kOctets octets.
template <lowbit_format kFormat, int kPanels, int kOctets>
struct Tile {
  using W = Weights<kFormat>;
  static constexpr int kBlockPanels = 2 * kPanels;
  static constexpr int kBlockRows = 2 * 8 * kOctets;
  // Of a stage, in 16-byte chunks.
  static constexpr int kPanelChunks = W::kRows * 8;
  static constexpr int kWeightChunks = kBlockPanels * kPanelChunks;
  static constexpr int kRowChunks = W::kStep / 16;
  static constexpr int kInputChunks = kBlockRows * kRowChunks;
  static constexpr int kStageChunks = kWeightChunks + kInputChunks;
  static constexpr size_t kSharedBytes = tuning::kTileStages * kStageChunks * sizeof(uint4);

  // Where a row's chunk c is: lane t's run is chunks t * kRowChunks / 4 and on.
  static __device__ __forceinline__ int input_chunk(int row, int c) {
    constexpr int kRunChunks = kRowChunks / 4;
    return kWeightChunks + (c % kRunChunks * kBlockRows + row) * 4 + c / kRunChunks;
  }
};

// What a thread brings to every stage: one 16-byte chunk of weights or activations a load.
template <typename Tile>
struct Fetch {
  using W = typename Tile::W;
  static constexpr int kWeightLoads = (Tile::kWeightChunks + kThreads - 1) / kThreads;
  static constexpr int kInputLoads = Tile::kInputChunks / kThreads;
  static_assert(Tile::kInputChunks % kThreads == 0 && kThreads % Tile::kRowChunks == 0);

  // Past the last panel or row it is the last again, whose outputs nobody stores.
  const uint4* weights[kWeightLoads];
  const uint32_t* rows[kInputLoads];

  __device__ __forceinline__ Fetch(const Problem& p, int m0, int z, int panel0) {
    const int last_panel = (p.N + 31) / 32 - 1;
#pragma unroll
    for (int i = 0; i < kWeightLoads; ++i) {
      const int chunk = i * kThreads + static_cast<int>(threadIdx.x);
      weights[i] = panel_of(p, z, min(panel0 + chunk / Tile::kPanelChunks, last_panel)) + chunk % Tile::kPanelChunks;
    }
#pragma unroll
    for (int i = 0; i < kInputLoads; ++i) rows[i] = input_row(p, min(m0 + row(i), p.M - 1), z);
  }

  // Brings a step of K into a stage.
  __device__ __forceinline__ void bring(const Problem& p, uint4* stage, int step) const {
    const int s = p.segment_steps.divide(step), at = step - s * p.segment_steps.value;
    const int64_t weight_chunk = s * p.segment_chunks + at * Tile::kPanelChunks;
#pragma unroll
    for (int i = 0; i < kWeightLoads; ++i) {
      const int chunk = i * kThreads + static_cast<int>(threadIdx.x);
      if (chunk < Tile::kWeightChunks) copy_async<16>(stage + chunk, weights[i] + weight_chunk, 16);
    }
    const int k = at * W::kStep + 16 * column(), valid = max(0, min(16, (p.K + 3) / 4 * 4 - k));
    // Where nothing is valid nothing is read, but the address stays inside the tensor.
    const int64_t word = s * p.segment_values + (valid > 0 ? k / 4 : 0);
#pragma unroll
    for (int i = 0; i < kInputLoads; ++i) {
      const uint32_t* from = rows[i] + word;
      uint4* to = stage + Tile::input_chunk(row(i), column());
      if (p.wide_K != 0) {
        copy_async<16>(to, from, valid);
      } else {
#pragma unroll
        for (int part = 0; part < 4; ++part) {
          const int bytes = max(0, min(4, valid - 4 * part));
          copy_async<4>(reinterpret_cast<uint32_t*>(to) + part, from + (bytes > 0 ? part : 0), bytes);
        }
      }
    }
    copy_async_commit();
  }

 private:
  static __device__ __forceinline__ int row(int i) {
    return (i * kThreads + static_cast<int>(threadIdx.x)) / Tile::kRowChunks;
  }
  static __device__ __forceinline__ int column() { return static_cast<int>(threadIdx.x) % Tile::kRowChunks; }
};

// The first `left` codes of a run; the lanes of a row's last word past K may hold anything.
__device__ __forceinline__ uint4 before_end(const uint4& run, int left) {
  return {keep_codes(run.x, left), keep_codes(run.y, left - 4), keep_codes(run.z, left - 8),
          keep_codes(run.w, left - 12)};
}

template <lowbit_format kFormat, bool kSigned, int kPanels, int kOctets>
__global__ void __launch_bounds__(kThreads) tiles_mma(const Problem p, const TileGrid grid) {
  using T = Tile<kFormat, kPanels, kOctets>;
  using W = typename T::W;
  constexpr int kStages = tuning::kTileStages;
  uint4* shared = dynamic_shared<uint4>();
  const int warp = static_cast<int>(threadIdx.x) / kWarp, g = static_cast<int>(threadIdx.x) % kWarp / 4,
            t = static_cast<int>(threadIdx.x) % 4;
  const TileGrid::Place place = grid.place();
  const int panel0 = place.column * T::kBlockPanels, m0 = place.row * T::kBlockRows, z = place.z;
  const int warp_panel = warp % 2 * kPanels, warp_row = warp / 2 * 8 * kOctets;
  const int steps = p.S * p.segment_steps.value;
  const Fetch<T> fetch(p, m0, z, panel0);

  PanelSums<kFormat, kSigned, kOctets> sums[kPanels];
  for (int step = 0; step < kStages - 1; ++step) {
    if (step < steps)
      fetch.bring(p, shared + step * T::kStageChunks, step);
    else
      copy_async_commit();
  }
  for (int step = 0; step < steps; ++step) {
    copy_async_wait<kStages - 2>();  // this step's bytes of this thread
    __syncthreads();                 // everybody's; and nobody reads the stage that is filled next
    const int next = step + kStages - 1;
    if (next < steps)
      fetch.bring(p, shared + next % kStages * T::kStageChunks, next);
    else
      copy_async_commit();

    const uint4* stage = shared + step % kStages * T::kStageChunks;
    const int at = step - p.segment_steps.divide(step) * p.segment_steps.value;
    const int left = p.K - at * W::kStep;  // codes from this step on
    W weights[kPanels];
#pragma unroll
    for (int panel = 0; panel < kPanels; ++panel) {
#pragma unroll
      for (int i = 0; i < W::kLoads; ++i) {
        const int chunk = W::chunk(at, g, t, i) - at * T::kPanelChunks;  // of the step's
        const uint4* from = stage + (warp_panel + panel) * T::kPanelChunks + chunk;
        weights[panel].words[i] =
            W::kOffset ? *from : uint4{in_place(from->x), in_place(from->y), in_place(from->z), in_place(from->w)};
      }
    }
#pragma unroll
    for (int octet = 0; octet < kOctets; ++octet) {
#pragma unroll
      for (int q = 0; q < W::kQuads; q += 4) {
        const int row = warp_row + 8 * octet + g;
        uint4 run = stage[T::input_chunk(row, t * (T::kRowChunks / 4) + q / 4)];
        if (left < W::kStep) run = before_end(run, left - t * W::kRun - 4 * q);
#pragma unroll
        for (int panel = 0; panel < kPanels; ++panel) sums[panel].add(weights[panel], octet, q, run);
      }
    }
  }
  copy_async_wait<0>();
  float inputs[kOctets][2];
#pragma unroll
  for (int i = 0; i < 2 * kOctets; ++i) {
    inputs[i / 2][i % 2] = input_scale(p, min(m0 + warp_row + 8 * (i / 2) + 2 * t + i % 2, p.M - 1), z);
  }
#pragma unroll
  for (int panel = 0; panel < kPanels; ++panel) {
    const FourColumns columns(p, z, (panel0 + warp_panel + panel) * static_cast<int>(kPanel32Columns) + 4 * g);
#pragma unroll
    for (int octet = 0; octet < kOctets; ++octet) {
      sums[panel].store(p, columns, octet, m0 + warp_row + 8 * octet, z, inputs[octet], t);
    }
  }
}

template <lowbit_format kFormat, bool kSigned, int kPanels, int kOctets>
Status launch_tiles(Stream& stream, const Problem& p) {
  using T = Tile<kFormat, kPanels, kOctets>;
  TileGrid grid;
  LOWBIT_TRY(make_tile_grid(p, ceil_div(p.M, T::kBlockRows), ceil_div(p.N, T::kBlockPanels * kPanel32Columns), &grid));
  return launch<tiles_mma<kFormat, kSigned, kPanels, kOctets>>(stream, {grid.blocks(p), kThreads, T::kSharedBytes}, p,
                                                               grid);
}

}  // namespace

template <typename Operation>
Status project_mma_tiles(Stream& stream, const Operation& op) {
  Problem p{};
  LOWBIT_TRY(make_problem(op, &p));
  // Large tiles read less; small ones are enough for every multiprocessor sooner.
  const int64_t large_tiles = ceil_div(p.M, 128) * ceil_div(p.N, 128) * p.Z;
  const bool is_large = large_tiles >= static_cast<CudaStream&>(stream).cuda_device().multiprocessors();
  return for_formats(*op.weight, op.input.format, [&]<lowbit_format kFormat, bool kSigned>() {
    return is_large ? launch_tiles<kFormat, kSigned, 2, 8>(stream, p) : launch_tiles<kFormat, kSigned, 1, 4>(stream, p);
  });
}

template Status project_mma_tiles(Stream&, const LowrankProjection&);
template Status project_mma_tiles(Stream&, const DecoderTail&);

}  // namespace lowbit::core::cuda
