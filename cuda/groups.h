// Groups of values in a tensor, and their scales: what quantize_pack and pack_weight share.
//
// The definition of treesum is its own plan: a warp reduces a segment of 4096 values to one, and the same kernel then
// runs over the segments' results until one is left for each group. The maximum goes the same way. Bound by memory: it
// reads 4 bytes a value, 0.83 ns a thousand values at an H200's 4.8 TB/s, and does some 5 operations on it.
#pragma once

#include <cuda_runtime.h>

#include "kernels.h"
#include "launch.h"
#include "scale.h"
#include "treesum.h"
#include "words.h"

namespace lowbit::core::cuda {

// Where groups lie, in elements of one kind: group g starts at g / inner * outer_step + g % inner * inner_step, and its
// rows are `pitch` apart.
struct Places {
  int64_t inner, outer_step, inner_step, pitch;

  __device__ int64_t first(int64_t group) const { return group / inner * outer_step + group % inner * inner_step; }
};

struct Groups {
  const float* data;
  Places places;
  int64_t rows, n;  // of a group: `rows` rows of n values
  bool is_aligned;  // every row starts and ends on 16 bytes: a word of four values is one load, and in one row

  __host__ __device__ int64_t size() const { return rows * n; }
};

constexpr int kReduceThreads = 256, kReduceBatch = 8;  // words a lane has under way

template <bool kAligned, typename Combine>
__device__ __forceinline__ float reduce_segment(const Groups& groups, const float* data, int64_t start,
                                                int counted_bits) {
  const int lane = threadIdx.x % kWarp;
  const int count = static_cast<int>(min(groups.size() - start, int64_t{LOWBIT_TREESUM_SEGMENT}));
  Cursor<int64_t> at(start + kWord * lane, kWord * kWarp, groups.n);
  TreeReduction<Combine, kWarp> reduction;
  for (int batch = 0; batch < count; batch += kReduceBatch * kWarp * kWord) {
    float4 x[kReduceBatch];
    const int left = count - batch - kWord * lane;  // values from this lane's first word on
#pragma unroll
    for (int m = 0; m < kReduceBatch; ++m) {
      const int rest = left - m * kWarp * kWord;
      x[m] = rest > 0 ? load_word<kAligned>(data, groups.places.pitch, at, rest) : float4{};
      at.advance();
    }
#pragma unroll
    for (int m = 0; m < kReduceBatch; ++m) reduction.add(m, x[m], counted_bits);
  }
  return reduction.total();
}

// A warp a segment, the segments of a group one after the other. Where a group has but one, that is its scale.
template <bool kAligned>
__global__ void __launch_bounds__(kReduceThreads)
    reduce_segments(const Groups groups, const int64_t segments, const int64_t total, const Scaling scaling,
                    float* const out) {
  const int64_t id = int64_t{blockIdx.x} * (kReduceThreads / kWarp) + threadIdx.x / kWarp;
  if (id >= total) return;
  const float* data = groups.data + groups.places.first(id / segments);
  const int64_t start = id % segments * LOWBIT_TREESUM_SEGMENT;
  const float reduced = scaling.is_mean ? reduce_segment<kAligned, Sum>(groups, data, start, scaling.counted_bits)
                                        : reduce_segment<kAligned, Largest>(groups, data, start, scaling.counted_bits);
  if (threadIdx.x % kWarp == 0) out[id] = segments == 1 ? scale_of(reduced, scaling.factor) : reduced;
}

// The scales of `count` groups, by at most log(values) / log(4096) launches.
inline Status group_scales(core::Stream& stream, Groups groups, int64_t count, const Scaling& scaling, float* scales) {
  for (;;) {
    const int64_t segments = ceil_div(groups.size(), LOWBIT_TREESUM_SEGMENT), total = count * segments;
    Location out{scales, 0};
    if (segments > 1) LOWBIT_TRY(stream.scratch(static_cast<size_t>(total) * sizeof(float), &out));
    const auto blocks = static_cast<unsigned>(ceil_div(total, kReduceThreads / kWarp));
    auto* const reduced = out.as<float>();
    LOWBIT_TRY(groups.is_aligned ? launch<reduce_segments<true>>(stream, {blocks, kReduceThreads}, groups, segments,
                                                                 total, scaling, reduced)
                                 : launch<reduce_segments<false>>(stream, {blocks, kReduceThreads}, groups, segments,
                                                                  total, scaling, reduced));
    if (segments == 1) return {};
    groups = {.data = reduced,
              .places = {.inner = 1, .outer_step = segments, .inner_step = 0, .pitch = segments},
              .rows = 1,
              .n = segments,
              .is_aligned = segments % kWord == 0};
  }
}

}  // namespace lowbit::core::cuda
