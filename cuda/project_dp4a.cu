// Projections of few rows of activations with dp4a, the weights read once in their packed form.
//
// One row, K x N weights: bytes = K N / codes a byte, over 4.8 TB/s: 14 us (int8), 3.5 us (ternary), 1.7 us (binary)
// for 8192 x 8192 on an H200. A warp's batch of 2 KB takes 102, 320 or 558 instructions where memory allows 457: binary
// is bound by its shifts and masks, the others by loads, so what decides is how many are under way.
// A warp reads whole 512-byte rows of a panel, 16 bytes a lane, four loads or more before the first is used; the
// activations come through L1, 16 bytes for 4 or 8 dp4a of each of 4 columns. K is split over warps and blocks.
#include "dp4a_sums.h"
#include "kernels.h"
#include "split_k.h"

namespace lowbit::core::cuda {
namespace {

template <lowbit_format kFormat, bool kSigned, int kRows>
__global__ void __launch_bounds__(kDecodeThreads, kRows == 1 ? tuning::decode_blocks(1) : 1)
    decode_dp4a(const Problem p, const Split split) {
  constexpr int kSteps = kBatchSteps<kFormat>;
  constexpr int kRangeSteps = static_cast<int>(kNarrowDepth) / Weights<kFormat>::kStep;
  const DecodeTile<kRows> tile(p, split);
  const int warp = static_cast<int>(threadIdx.x) / kWarp, g = static_cast<int>(threadIdx.x) % kWarp / 4,
            t = static_cast<int>(threadIdx.x) % 4;
  TileSums<kRows> sums(dynamic_shared<int>());
  const uint4* panel = panel_of(p, tile.z, tile.panel);
  const uint32_t* rows[kRows];
#pragma unroll
  for (int row = 0; row < kRows; ++row) rows[row] = input_row(p, min(tile.m0 + row, p.M - 1), tile.z);

  for (int range = tile.first; range < tile.end; range += kRangeSteps) {
    const int end = min(range + kRangeSteps, tile.end);
    LaneSums<kFormat, kSigned, kRows> lane;
    for (int step = range + warp * kSteps; step < end; step += tuning::kDecodeWarps * kSteps) {
      const auto multiply = [&]<bool kWhole>() {
        const WeightBatch<kFormat, kSteps, kWhole> batch(p, panel, step, end, g, t);
#pragma unroll
        for (int u = 0; u < kSteps; ++u) {
          if (!batch.has(u)) break;
#pragma unroll
          for (int row = 0; row < kRows; ++row) {
            if (tile.m0 + row >= p.M) break;
#pragma unroll
            for (int q = 0; q < Weights<kFormat>::kQuads / 4; ++q) {
              const uint4 run = batch.load_run(p, rows[row], u, t, q);
#pragma unroll
              for (int j = 0; j < 4; ++j) lane.add(row, batch.weights[u].quad(4 * q + j), component(run, j));
            }
          }
        }
      };
      is_whole<kFormat, kSteps>(p, step, end) ? multiply.template operator()<true>()
                                              : multiply.template operator()<false>();
    }
    lane.hand_over(sums, g, t);
    sums.add_range();
  }
  sums.store(p, split, tile);
}

}  // namespace

template <typename Operation>
Status project_dp4a(Stream& stream, const Operation& op) {
  Problem p{};
  LOWBIT_TRY(make_problem(op, &p));
  return for_formats(*op.weight, op.input.format, [&]<lowbit_format kFormat, bool kSigned>() {
    if (p.M == 1) return launch_split<decode_dp4a<kFormat, kSigned, 1>, 1>(stream, p);
    return launch_split<decode_dp4a<kFormat, kSigned, 8>, 8, 1>(stream, p);
  });
}

template Status project_dp4a(Stream&, const LowrankProjection&);
template Status project_dp4a(Stream&, const DecoderTail&);

}  // namespace lowbit::core::cuda
