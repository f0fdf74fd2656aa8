// quantize_pack: input [..., n] f32 -> codes [..., ceil(n/4)] words and one scale a group, bit for bit numerics.md.
//
// Bound by memory: 5 bytes a value, 1.04 ns a thousand values at an H200's 4.8 TB/s; some 15 operations a value.
// A group of up to 32768 values is read once and stays in registers, in treesum's layout (treesum.h), which serves the
// maximum as well: a warp holds a segment of 4096, 8 lanes hold a short group, several warps a long one. Larger groups,
// and rows that do not lie on 16 bytes, are read twice: for the scale (groups.h) and for the codes, 9 bytes a value.
#include <type_traits>

#include "groups.h"

namespace lowbit::core::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kMostSegments = 8;  // of a group that is held: warps of a block
constexpr int64_t kMostHeld = int64_t{kMostSegments} * LOWBIT_TREESUM_SEGMENT;

// ---- Groups that fit in registers -----------------------------------------------------------------------------------

// What the warps of a block found, in the order of their segments, reduced to one.
template <typename Combine>
__device__ __forceinline__ float across_warps(float found, int warps) {
  float* const each = dynamic_shared<float>();
  const int lane = threadIdx.x % kWarp;
  if (lane == 0) each[threadIdx.x / kWarp] = found;
  __syncthreads();
  return warp_reduce(lane < warps ? each[lane] : 0.0f, Combine());
}

// Which group a lane works for, and its words of it: every kTeam-th from `first` on, below `first + left`.
struct Share {
  int64_t group;
  int first, left;
};

// A team of lanes a segment, kWords words of it in each lane. Groups of one segment share a block; otherwise the warps
// of the block have the segments of one group.
template <int kTeam, int kWords>
__device__ __forceinline__ Share share_of_lane(const Groups& groups, int64_t count, int segments) {
  const int team = threadIdx.x / kTeam, lane = threadIdx.x % kTeam;
  const bool has_segments = segments > 1;
  const int64_t group = has_segments ? blockIdx.x : int64_t{blockIdx.x} * (blockDim.x / kTeam) + team;
  const int first = has_segments ? team * kSegmentWords + lane : lane;
  const int words = group < count ? static_cast<int>(groups.size()) / kWord : 0;  // without a group, still in shuffles
  return {group, first, min(words - first, kTeam * kWords - lane)};
}

template <typename Combine, int kTeam, int kWords>
__device__ __forceinline__ float reduce_held(const float4 (&x)[kWords], int left, int counted_bits, int segments) {
  TreeReduction<Combine, kTeam> reduction;
#pragma unroll
  for (int m = 0; m < kWords; ++m) {
    if (m * kTeam < left) reduction.add(m, x[m], counted_bits);
  }
  const float total = reduction.total();
  if constexpr (kTeam * kWords < kSegmentWords) return total;
  return segments == 1 ? total : across_warps<Combine>(total, segments);
}

template <int kTeam, int kWords, bool kOneRow>
__global__ void __launch_bounds__(kThreads)
    quantize_held(const Groups groups, const int64_t count, const int segments, const Scaling scaling,
                  const CodeRange range, uint32_t* const codes, const Places code_places, float* const scales) {
  using Walk = std::conditional_t<kOneRow, OneRow<int>, Cursor<int>>;
  const auto first_of = [](const Places& places, int64_t group) {
    return kOneRow ? group * places.inner_step : places.first(group);
  };
  const Share share = share_of_lane<kTeam, kWords>(groups, count, segments);
  const int n = static_cast<int>(groups.n);

  float4 x[kWords];
  const float* const in = groups.data + first_of(groups.places, share.group);
  Walk from(kWord * share.first, kWord * kTeam, n);
#pragma unroll
  for (int m = 0; m < kWords; ++m) {
    if (m * kTeam < share.left) x[m] = load_word<true>(in, groups.places.pitch, from, kWord);
    from.advance();
  }

  const float total = scaling.is_mean ? reduce_held<Sum, kTeam>(x, share.left, scaling.counted_bits, segments)
                                      : reduce_held<Largest, kTeam>(x, share.left, scaling.counted_bits, segments);
  const float scale = scale_of(total, scaling.factor);
  if (share.first == 0 && share.left > 0) scales[share.group] = scale;

  const Coder coder(__frcp_rn(scale), range);
  uint32_t* const out = codes + first_of(code_places, share.group);
  Walk to(share.first, kTeam, n / kWord);
#pragma unroll
  for (int m = 0; m < kWords; ++m) {
    if (m * kTeam < share.left) out[to.row * code_places.pitch + to.column] = coder.word(x[m]);
    to.advance();
  }
}

Status quantize_held(Stream& stream, const Groups& groups, int64_t count, const Scaling& scaling, CodeRange range,
                     uint32_t* codes, const Places& code_places, float* scales) {
  const auto run = [&]<int kTeam, int kWords, bool kOneRow>(int segments, int threads) {
    const int64_t blocks = segments > 1 ? count : ceil_div(count, threads / kTeam);
    const Grid grid{static_cast<unsigned>(blocks), static_cast<unsigned>(threads), kMostSegments * sizeof(float)};
    return launch<quantize_held<kTeam, kWords, kOneRow>>(stream, grid, groups, count, segments, scaling, range, codes,
                                                         code_places, scales);
  };
  const int64_t size = groups.size();
  const int segments = static_cast<int>(ceil_div(size, LOWBIT_TREESUM_SEGMENT));
  const int threads = segments > 1 ? segments * kWarp : 2 * kWarp;  // few, since they need many registers
  if (groups.rows > 1) return run.template operator()<32, 32, false>(segments, threads);
  if (size > 1024) return run.template operator()<32, 32, true>(segments, threads);
  if (size > 256) return run.template operator()<32, 8, true>(1, kThreads);
  return run.template operator()<8, 8, true>(1, kThreads);
}

// ---- Rows of any length and place, their scales known ---------------------------------------------------------------

// Rows in memory order.
struct Rows {
  const float* in;
  uint32_t* codes;
  int64_t count, n, in_stride, codes_stride;
  RowGroups groups;
};

constexpr int kRowWords = 8;                        // of a lane
constexpr int64_t kChunkWords = kRowWords * kWarp;  // of a warp

template <bool kAligned>
__global__ void __launch_bounds__(kThreads)
    quantize_rows(const Rows rows, const int64_t chunks, const CodeRange range, const float* const scales) {
  const int64_t id = int64_t{blockIdx.x} * (kThreads / kWarp) + threadIdx.x / kWarp;
  const int64_t row = id / chunks, first = id % chunks * kChunkWords + threadIdx.x % kWarp;
  if (row >= rows.count) return;
  const float* const in = rows.in + row * rows.in_stride;
  float4 x[kRowWords];
#pragma unroll
  for (int m = 0; m < kRowWords; ++m) {
    const int64_t i = (first + m * kWarp) * kWord, left = rows.n - i;
    if (left > 0) x[m] = load_word<kAligned>(in + i, left);
  }
  const int64_t tokens = rows.groups.tokens, group = row / (rows.groups.rows * tokens) * tokens + row % tokens;
  const Coder coder(__frcp_rn(scales[group]), range);
  uint32_t* const out = rows.codes + row * rows.codes_stride;
#pragma unroll
  for (int m = 0; m < kRowWords; ++m) {
    const int64_t word = first + m * kWarp;
    if (word * kWord < rows.n) out[word] = coder.word(x[m]);  // what is not there was loaded as 0
  }
}

}  // namespace

Status quantize_pack(Stream& stream, const QuantizePack& op) {
  Rows rows{row<float>(op.input, 0),
            row<uint32_t>(op.codes, 0),
            row_count(op.input),
            row_length(op.input),
            op.input.row_stride,
            op.codes.row_stride,
            op.groups};
  float* const scales = row<float>(op.scales, 0);
  const Scaling scaling = scaling_of_codes(op.format, op.rule, op.groups.rows * rows.n);
  const CodeRange range = code_range(op.format);

  // A group without gaps is one long row.
  const bool is_dense = rows.groups.tokens == 1 && rows.in_stride == rows.n && rows.codes_stride * kWord == rows.n;
  if (is_dense) {
    rows.count = rows.groups.count;
    rows.n = rows.in_stride = rows.n * rows.groups.rows;
    rows.codes_stride = rows.n / kWord;
    rows.groups = {.count = rows.count, .rows = 1, .tokens = rows.count};
  }
  const RowGroups& g = rows.groups;
  const bool is_aligned = is_aligned_16(rows.in) && rows.in_stride % kWord == 0 && rows.n % kWord == 0;
  const auto places = [&](int64_t stride) {
    return Places{g.tokens, g.rows * g.tokens * stride, stride, g.tokens * stride};
  };
  const Groups groups{rows.in, places(rows.in_stride), g.rows, rows.n, is_aligned};
  if (is_aligned && groups.size() <= kMostHeld) {
    return quantize_held(stream, groups, g.count, scaling, range, rows.codes, places(rows.codes_stride), scales);
  }
  LOWBIT_TRY(group_scales(stream, groups, g.count, scaling, scales));
  const int64_t chunks = ceil_div(ceil_div(rows.n, kWord), kChunkWords);
  const Grid grid{static_cast<unsigned>(ceil_div(rows.count * chunks, kThreads / kWarp)), kThreads};
  return is_aligned ? launch<quantize_rows<true>>(stream, grid, rows, chunks, range, scales)
                    : launch<quantize_rows<false>>(stream, grid, rows, chunks, range, scales);
}

}  // namespace lowbit::core::cuda
