// Projections of one row of activations that is mostly zero: only those rows of a panel are read that meet a code other
// than 0. Zeros add nothing, so no bit changes.
//
// 6 % of the Hatchling's x * y is not zero. A row of a panel is 128 bytes, a whole line of the cache, over 4 steps of K
// (int8), 16 (ternary) or 32 (binary): if the codes fell anywhere, 22 %, 63 % or 86 % of the rows would be needed. A
// block counts and lists the needed rows of its share of K in shared memory, which costs reading the activations once.
// Where too few can be left out it goes through all rows in order. K is split as for the dense kernels.
#include "dp4a_sums.h"
#include "kernels.h"
#include "split_k.h"

namespace lowbit::core::cuda {
namespace {

constexpr int kBatch = 4;  // rows of a panel that a lane has under way

template <lowbit_format kFormat>
struct Row {
  static constexpr int kDepth = static_cast<int>(word_codes(kFormat));
  static constexpr int kQuads = kDepth / 4;

  const uint32_t* input;  // the activations of its segment
  int segment, at;        // `at` counts the rows of the segment's panel

  // `index` counts over all segments.
  __device__ __forceinline__ Row(const Problem& p, int index) {
    segment = p.segment_steps.divide(index / Weights<kFormat>::kRows);
    at = index - segment * p.segment_steps.value * Weights<kFormat>::kRows;
    input = p.values + segment * p.segment_values;  // the one row
  }
  __device__ __forceinline__ uint32_t quad(const Problem& p, int j) const {
    return load_quad(p, input, at * kDepth + 4 * j);
  }
  __device__ __forceinline__ bool is_needed(const Problem& p) const {
    uint32_t any = 0;
#pragma unroll
    for (int j = 0; j < kQuads; ++j) any |= quad(p, j);
    return any != 0;
  }
};

// The rows among first .. first + rows - 1 that are needed, as offsets from `first`, in any order.
template <lowbit_format kFormat>
__device__ int list_needed(const Problem& p, int first, int rows, uint16_t* list, int* count) {
  if (threadIdx.x == 0) *count = 0;
  __syncthreads();
  for (int base = 0; base < rows; base += kDecodeThreads) {
    const int offset = base + static_cast<int>(threadIdx.x), lane = static_cast<int>(threadIdx.x) % kWarp;
    const bool is_needed = offset < rows && Row<kFormat>(p, first + offset).is_needed(p);
    const unsigned needed = __ballot_sync(kAllLanes, is_needed);
    int place = lane == 0 ? atomicAdd(count, __popc(needed)) : 0;
    place = __shfl_sync(kAllLanes, place, 0) + __popc(needed & ((1u << lane) - 1));
    if (is_needed) list[place] = static_cast<uint16_t>(offset);
  }
  __syncthreads();
  return *count;
}

template <lowbit_format kFormat, bool kSigned>
__global__ void __launch_bounds__(kDecodeThreads, tuning::decode_blocks(1))
    decode_sparse(const Problem p, const Split split) {
  constexpr int kRangeSteps = static_cast<int>(kNarrowDepth) / Weights<kFormat>::kStep;
  constexpr int kStepRows = Weights<kFormat>::kRows;
  const DecodeTile<1> tile(p, split);
  const int warp = static_cast<int>(threadIdx.x) / kWarp, g = static_cast<int>(threadIdx.x) % kWarp / 4,
            t = static_cast<int>(threadIdx.x) % 4;
  int* shared = dynamic_shared<int>();
  TileSums<1> sums(shared);
  int* count = shared + TileSums<1>::kSharedBytes / sizeof(int);
  auto* list = reinterpret_cast<uint16_t*>(count + 1);
  const uint4* panel = panel_of(p, tile.z, tile.panel);

  for (int range = tile.first; range < tile.end; range += kRangeSteps) {
    const int first = range * kStepRows, rows = (min(range + kRangeSteps, tile.end) - range) * kStepRows;
    const int needed = list_needed<kFormat>(p, first, rows, list, count);
    const bool gathers = 4 * needed < tuning::kGatherBelowQuarters * rows;
    const int entries = gathers ? needed : rows;
    LaneSums<kFormat, kSigned, 1> lane;
    for (int entry = 4 * kBatch * warp + t; entry - t < entries; entry += 4 * kBatch * tuning::kDecodeWarps) {
      uint4 weights[kBatch];
      int offsets[kBatch];
#pragma unroll
      for (int u = 0; u < kBatch; ++u) {
        const int e = min(entry + 4 * u, entries - 1);  // the last again, rather than none: no branch between loads
        offsets[u] = gathers ? list[e] : e;
        const Row<kFormat> row(p, first + offsets[u]);
        weights[u] = load_once(panel + row.segment * p.segment_chunks + panel32_chunk(row.at, g));
      }
#pragma unroll
      for (int u = 0; u < kBatch; ++u) {
        if (entry + 4 * u >= entries) break;
        const Row<kFormat> row(p, first + offsets[u]);
#pragma unroll
        for (int j = 0; j < Row<kFormat>::kQuads; ++j) {
          lane.add(0, Weights<kFormat>::quad_of_row(weights[u], j), row.quad(p, j));
        }
      }
    }
    lane.hand_over(sums, g, t);
    sums.add_range();
  }
  sums.store(p, split, tile);
}

}  // namespace

template <typename Operation>
Status project_sparse(Stream& stream, const Operation& op) {
  Problem p{};
  LOWBIT_TRY(make_problem(op, &p));
  return for_formats(*op.weight, op.input.format, [&]<lowbit_format kFormat, bool kSigned>() {
    using W = Weights<kFormat>;
    const auto list_bytes = [](int steps) {
      const int most = static_cast<int>(kNarrowDepth) / W::kStep;
      return sizeof(int) + sizeof(uint16_t) * static_cast<size_t>(std::min(steps, most) * W::kRows);
    };
    return launch_split<decode_sparse<kFormat, kSigned>, 1>(stream, p, list_bytes);
  });
}

template Status project_sparse(Stream&, const DecoderTail&);

}  // namespace lowbit::core::cuda
