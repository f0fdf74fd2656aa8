// Projections of 2 to 32 rows of activations with mma.sync m16n8k32 (sm_80 and up), the weights read once.
//
// Bytes and floor are those of one row (project_dp4a.cu); dp4a would need rows times its instructions, the tensor cores
// need one mma for 16 columns, 8 rows and 32 steps of K. The weights are the operand of 16 rows: a lane's four columns
// 4g..4g+3 make two of them, row g being column 4g + 2 s and row g + 8 column 4g + 2 s + 1. Which steps of K an mma
// multiplies is free as long as both operands agree: those of a lane are its run, so that both come by 16-byte loads
// and no operand passes through shared memory. K is split over warps and blocks.
#include "kernels.h"
#include "mma_operands.h"
#include "split_k.h"

namespace lowbit::core::cuda {
namespace {

template <lowbit_format kFormat, bool kSigned, int kOctets>
__global__ void __launch_bounds__(kDecodeThreads, tuning::decode_blocks(8 * kOctets))
    decode_mma(const Problem p, const Split split) {
  constexpr int kSteps = kOctets == 4 ? (kBatchSteps<kFormat> + 1) / 2 : kBatchSteps<kFormat>;  // as registers allow
  constexpr int kRangeSteps = static_cast<int>(kNarrowDepth) / Weights<kFormat>::kStep;
  constexpr int kAtOnce = kOctets == 2 ? 2 : 1;  // octets whose activations are under way together
  const DecodeTile<8 * kOctets> tile(p, split);
  const int warp = static_cast<int>(threadIdx.x) / kWarp, g = static_cast<int>(threadIdx.x) % kWarp / 4,
            t = static_cast<int>(threadIdx.x) % 4;
  TileSums<8 * kOctets> sums(dynamic_shared<int>());
  const uint4* panel = panel_of(p, tile.z, tile.panel);
  const uint32_t* rows[kOctets];  // past the last: the last again, whose outputs nobody stores
#pragma unroll
  for (int octet = 0; octet < kOctets; ++octet) {
    rows[octet] = input_row(p, min(tile.m0 + 8 * octet + g, p.M - 1), tile.z);
  }

  for (int range = tile.first; range < tile.end; range += kRangeSteps) {
    const int end = min(range + kRangeSteps, tile.end);
    PanelSums<kFormat, kSigned, kOctets> lane;
    for (int step = range + warp * kSteps; step < end; step += tuning::kDecodeWarps * kSteps) {
      const auto multiply = [&]<bool kWhole>() {
        const WeightBatch<kFormat, kSteps, kWhole> batch(p, panel, step, end, g, t);
#pragma unroll
        for (int u = 0; u < kSteps; ++u) {
          if (!batch.has(u)) break;
#pragma unroll
          for (int q = 0; q < Weights<kFormat>::kQuads / 4; ++q) {
#pragma unroll
            for (int first = 0; first < kOctets; first += kAtOnce) {
              uint4 runs[kAtOnce];
#pragma unroll
              for (int i = 0; i < kAtOnce; ++i) runs[i] = batch.load_run(p, rows[first + i], u, t, q);
#pragma unroll
              for (int i = 0; i < kAtOnce; ++i) lane.add(batch.weights[u], first + i, 4 * q, runs[i]);
            }
          }
        }
      };
      is_whole<kFormat, kSteps>(p, step, end) ? multiply.template operator()<true>()
                                              : multiply.template operator()<false>();
    }
#pragma unroll
    for (int octet = 0; octet < kOctets; ++octet) {
      lane.finish(octet, t, [&](int r, int c, int sum) { sums.of_warp(8 * octet + 2 * t + r, 4 * g + c) = sum; });
    }
    sums.add_range();
  }
  sums.store(p, split, tile);
}

}  // namespace

template <typename Operation>
Status project_mma(Stream& stream, const Operation& op) {
  Problem p{};
  LOWBIT_TRY(make_problem(op, &p));
  return for_formats(*op.weight, op.input.format, [&]<lowbit_format kFormat, bool kSigned>() {
    if (p.M <= 8) return launch_split<decode_mma<kFormat, kSigned, 1>, 8>(stream, p);
    if (p.M <= 16) return launch_split<decode_mma<kFormat, kSigned, 2>, 16>(stream, p);
    return launch_split<decode_mma<kFormat, kSigned, 4>, 32>(stream, p);
  });
}

template Status project_mma(Stream&, const LowrankProjection&);
template Status project_mma(Stream&, const DecoderTail&);

}  // namespace lowbit::core::cuda
