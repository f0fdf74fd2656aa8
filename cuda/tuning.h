// The sizes that kernels are tuned by, away from what they compute. Figures are estimates for an H200 until a report of
// `./run gpu` stands beside them.
#pragma once

namespace lowbit::core::cuda::tuning {

// Decode: warps of a block share a panel's steps. Four blocks on a multiprocessor, as many as the registers of one
// row's kernel allow, keep 4 x 8 warps x 32 lanes x 4 loads x 16 bytes = 64 KB under way, where latency times bandwidth
// asks for about 25 KB; two still do.
constexpr int kDecodeWarps = 8;
constexpr int decode_blocks(int rows) { return rows == 1 ? 4 : rows == 8 ? 3 : 2; }  // on a multiprocessor
// What a block costs beside its steps, in steps of a warp: launch, reduction, and the pass over the splits.
constexpr int kDecodeBlockOverhead = 4;
constexpr int kMostSplits = 64;

// Sparse decode: a block gathers where less than this share (in quarters) of its rows of a panel is needed.
constexpr int kGatherBelowQuarters = 3;

// Tiles of mma: stages of the cp.async pipeline. Three of 16 KB (binary: 18) let two blocks live on every device from
// sm_80, but for binary on sm_86 and sm_89.
constexpr int kTileStages = 3;

}  // namespace lowbit::core::cuda::tuning
