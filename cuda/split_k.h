// Split-K for decode. The warps of a block, and the blocks of a split, each sum their own steps of K; sums are
// integers, so their order changes no bit. A block writes its sums to scratch and takes a ticket; the block with the
// last ticket adds all of them in 64 bits, scales and stores, and leaves the ticket at zero for the next call.
//
//   grid   (output tiles, splits)     a tile is kRows rows of activations by a panel of 32 columns
//   block  kDecodeWarps warps
//
// A sum of 32 bits holds kNarrowDepth products; a block whose share is deeper goes through it in ranges of that depth.
#pragma once

#include "cuda_device.h"
#include "kernel_table.h"
#include "launch.h"
#include "projection.h"
#include "ptx.h"
#include "tuning.h"
#include "warp.h"

namespace lowbit::core::cuda {

struct Split {
  int steps;  // of K, over all segments
  int steps_a_split;
  int panels;             // that outputs are wanted of
  int64_t* partials;      // [output tile][split][kRows * 32]; NULL where there is one split
  unsigned int* tickets;  // one an output tile
};

constexpr int kDecodeThreads = tuning::kDecodeWarps * kWarp;

// The block's place.
template <int kRows>
struct DecodeTile {
  int panel, z;
  int m0;          // first row of activations
  int first, end;  // steps

  __device__ DecodeTile(const Problem& p, const Split& split) {
    const int index = static_cast<int>(blockIdx.x);
    panel = index % split.panels;
    z = index / split.panels % p.Z;
    m0 = index / split.panels / p.Z * kRows;
    first = static_cast<int>(blockIdx.y) * split.steps_a_split;
    end = min(first + split.steps_a_split, split.steps);
  }
};

// The steps first .. first + kSteps - 1 that a warp has under way, those before `end`, and their weights: with
// kBatchSteps four 16-byte loads a lane, all of them asked for before the first is used. kWhole: is_whole() holds, and
// little is left to work out.
template <lowbit_format kFormat>
constexpr int kBatchSteps = 4 / Weights<kFormat>::kLoads;

template <lowbit_format kFormat, int kSteps, bool kWhole>
struct WeightBatch {
  using W = Weights<kFormat>;
  W weights[kSteps];
  int segment[kSteps], at[kSteps];  // of each step; at: within the segment

  __device__ __forceinline__ WeightBatch(const Problem& p, const uint4* panel, int first, int end, int g, int t)
      : left_(end - first) {
    const int first_segment = p.segment_steps.divide(first), first_at = first - first_segment * p.segment_steps.value;
#pragma unroll
    for (int u = 0; u < kSteps; ++u) {
      const int step = min(first + u, end - 1);  // the last again, rather than none: no branch between loads
      segment[u] = kWhole ? first_segment : p.segment_steps.divide(step);
      at[u] = kWhole ? first_at + u : step - segment[u] * p.segment_steps.value;
      const uint4* from = panel + segment[u] * p.segment_chunks;
#pragma unroll
      for (int i = 0; i < W::kLoads; ++i) weights[u].words[i] = load_once(from + W::chunk(at[u], g, t, i));
    }
  }
  __device__ __forceinline__ bool has(int u) const { return kWhole || u < left_; }
  // The lane's codes 16 q .. 16 q + 15 of its run in step u, of a row of activations.
  __device__ __forceinline__ uint4 load_run(const Problem& p, const uint32_t* row, int u, int t, int q) const {
    const uint32_t* from = row + segment[u] * p.segment_values;
    const int k = at[u] * W::kStep + t * W::kRun + 16 * q;
    if constexpr (kWhole) return *reinterpret_cast<const uint4*>(from + k / 4);
    return cuda::load_run(p, from, k);
  }

 private:
  int left_;
};

// Whether all steps of a batch are there, in one segment, with all their codes, in rows of activations on 16 bytes.
template <lowbit_format kFormat, int kSteps>
__device__ __forceinline__ bool is_whole(const Problem& p, int first, int end) {
  const int at = first - p.segment_steps.divide(first) * p.segment_steps.value;
  return first + kSteps <= end && (at + kSteps) * Weights<kFormat>::kStep <= p.wide_K;
}

// The sums of a block's output tile [kRows][32]; thread i owns the outputs i, i + threads, ...
template <int kRows>
class TileSums {
 public:
  static constexpr int kOutputs = kRows * static_cast<int>(kPanel32Columns);
  static constexpr size_t kSharedBytes = sizeof(int) * tuning::kDecodeWarps * kOutputs;

  // `shared` has kSharedBytes.
  __device__ explicit TileSums(int* shared) : shared_(shared) {}

  // Where this warp puts its sum of an output for the range in progress.
  __device__ int& of_warp(int row, int column) {
    return shared_[(static_cast<int>(threadIdx.x) / kWarp * kRows + row) * kPanel32Columns + column];
  }
  // Adds the warps' sums of a range, all of them written.
  __device__ void add_range() {
    __syncthreads();
    for (int i = 0; i < kOwned; ++i) {
      const int output = output_of(i);
      if (output >= kOutputs) break;
      for (int warp = 0; warp < tuning::kDecodeWarps; ++warp) owned_[i] += shared_[warp * kOutputs + output];
    }
    __syncthreads();
  }
  __device__ void store(const Problem& p, const Split& split, const DecodeTile<kRows>& tile);

 private:
  static constexpr int kOwned = (kOutputs + kDecodeThreads - 1) / kDecodeThreads;
  static __device__ int output_of(int i) { return i * kDecodeThreads + static_cast<int>(threadIdx.x); }
  static __device__ int row_of(const DecodeTile<kRows>& tile, int i) {
    return tile.m0 + output_of(i) / static_cast<int>(kPanel32Columns);
  }
  static __device__ int column_of(const DecodeTile<kRows>& tile, int i) {
    return (tile.panel * static_cast<int>(kPanel32Columns)) + output_of(i) % static_cast<int>(kPanel32Columns);
  }

  int* shared_;
  int64_t owned_[kOwned] = {};
};

template <int kRows>
__device__ void TileSums<kRows>::store(const Problem& p, const Split& split, const DecodeTile<kRows>& tile) {
  const int splits = static_cast<int>(gridDim.y);
  // Asked for before the splits are waited for.
  float inputs[kOwned], weights[kOwned];
#pragma unroll
  for (int i = 0; i < kOwned; ++i) {
    inputs[i] = input_scale(p, min(row_of(tile, i), p.M - 1), tile.z);
    weights[i] = weight_scale(p, tile.z, min(column_of(tile, i), p.N - 1));
  }
  if (splits > 1) {
    int64_t* partials = split.partials + static_cast<int64_t>(blockIdx.x) * splits * kOutputs;
    unsigned int& ticket = split.tickets[blockIdx.x];
    for (int i = 0; i < kOwned && output_of(i) < kOutputs; ++i) {
      partials[static_cast<int>(blockIdx.y) * kOutputs + output_of(i)] = owned_[i];
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      // Both fences in the thread of the atomic: with the barriers they order the whole block's accesses.
      fence_device();
      const bool is_last = atomicAdd(&ticket, 1u) == static_cast<unsigned>(splits - 1);
      fence_device();
      if (is_last) atomicExch(&ticket, 0u);
      shared_[0] = is_last;
    }
    __syncthreads();
    if (shared_[0] == 0) return;
    for (int i = 0; i < kOwned && output_of(i) < kOutputs; ++i) {
      owned_[i] = 0;
      for (int s = 0; s < splits; ++s) owned_[i] += __ldcg(&partials[s * kOutputs + output_of(i)]);
    }
  }
#pragma unroll
  for (int i = 0; i < kOwned; ++i) {
    const int m = row_of(tile, i), n = column_of(tile, i);
    if (output_of(i) >= kOutputs || m >= p.M || n >= p.N) continue;
    output_row(p, m, tile.z)[n] = scaled(p, __ll2float_rn(owned_[i]), inputs[i], weights[i]);
  }
}

// How many splits: the fewest for which whole waves of `resident` blocks take the least time, counted in a warp's
// steps; more only for a gain that is worth the scratch.
inline int choose_splits(int64_t tiles, int64_t steps, int64_t resident) {
  if (tiles > Control::kTickets) return 1;
  int best = 1;
  int64_t least = INT64_MAX;
  for (int splits = 1; splits <= tuning::kMostSplits && splits <= steps; ++splits) {
    const int64_t rounds = ceil_div(ceil_div(steps, splits), tuning::kDecodeWarps);
    const int64_t time = ceil_div(tiles * splits, resident) * (rounds + tuning::kDecodeBlockOverhead);
    if (time <= least - least / 32) least = time, best = splits;
  }
  return best;
}

// Splits K and launches a decode kernel(Problem, Split) of which kBlocks live on a multiprocessor. more_shared(steps of
// a split) is the shared memory that it wants beside the sums, in bytes.
template <auto kernel, int kRows, int kBlocks = tuning::decode_blocks(kRows), typename MoreShared = size_t (*)(int)>
Status launch_split(
    Stream& stream, const Problem& p, MoreShared more_shared = [](int) -> size_t { return 0; }) {
  CudaStream& on = static_cast<CudaStream&>(stream);
  const int steps = p.S * p.segment_steps.value, panels = static_cast<int>(ceil_div(p.N, kPanel32Columns));
  const int64_t tiles = panels * p.Z * ceil_div(p.M, kRows);
  LOWBIT_TRY(check_blocks(tiles));
  const int64_t resident = int64_t{on.cuda_device().multiprocessors()} * kBlocks;
  const int most = choose_splits(tiles, steps, resident);
  Split split{steps, static_cast<int>(ceil_div(steps, most)), panels, nullptr, on.control()->tickets};
  const auto splits = static_cast<unsigned>(ceil_div(steps, split.steps_a_split));  // none of them empty
  if (splits > 1) {
    const size_t outputs = static_cast<size_t>(tiles) * splits * TileSums<kRows>::kOutputs;
    Location memory;
    LOWBIT_TRY(stream.scratch(outputs * sizeof(*split.partials), &memory));
    split.partials = memory.as<int64_t>();
  }
  const Grid grid{dim3(static_cast<unsigned>(tiles), splits), kDecodeThreads,
                  TileSums<kRows>::kSharedBytes + more_shared(split.steps_a_split)};
  return launch<kernel>(stream, grid, p, split);
}

}  // namespace lowbit::core::cuda
