// A second road to the bits of the exact operations: quantise-pack, weight packing, the two integer projections and
// block compression. It is written from the numerics' prose alone and shares no code with the library. Tests compare
// every backend, the reference included, with it.
//
// Nothing here adds, multiplies, divides or compares a float: f32 values are bit patterns, and every result is worked
// out exactly in integers and rounded by one function. So the rounding mode, flushing of subnormals, contraction and
// fast-math cannot reach it, and a slip in floating point is unlikely to be made twice.
//
// Names of formats, rules and groups are strings, as in the golden manifest, so that no type is shared either.
// Tensors are flat, in C order. A wrong name, an empty tensor or a size that does not fit throws std::invalid_argument.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace oracle {

// Scales, here and below: one for all, or one a group (a channel, a block) in memory order. What quantize() and the
// packers return follows the numerics; what a caller hands to a projection or to rho_expand may be any f32.
struct Codes {
  std::vector<int32_t> codes;  // one a value, in memory order of the tensor
  std::vector<float> scales;
};

// format: "int8", "int4", "uint8". rule: "absmax", "absmean".
// group: "per_tensor"; "per_token", each row along the last axis; "per_token_all_heads" for x [B, H, T, l], where a
// group is a token's [H, l] values in (h, i) order and the scales are [B*T].
Codes quantize(std::span<const float> x, const std::vector<int64_t>& shape, std::string_view format,
               std::string_view rule, std::string_view group);

// int8x4 words, the first code in the low byte. Each row is padded with zero codes to whole words.
std::vector<uint32_t> pack_words(std::span<const int32_t> codes, int64_t row_length);

struct Weight {
  std::vector<int32_t> codes;
  std::vector<float> scales;
  std::vector<uint8_t> packed;  // codes as stored: 8, 2 or 1 bits each, low bits first
};

// w [..., K, N]; format: "int8", "ternary", "binary"; rule as above, for int8 only (the others have one rule).
// group: "per_channel", one scale for each column of K values, or "per_tensor".
// Throws std::invalid_argument at the first NaN or infinity, naming its index, and when a sum overflows.
Weight pack_weight(std::span<const float> w, const std::vector<int64_t>& shape, std::string_view format,
                   std::string_view rule, std::string_view group);

// a [B, Hi, T, E], w [H, E, L] -> out [B, H, T, Lo]. Scales of a: [1] or [B*Hi*T]; of w: [1] or [H*L].
struct LowrankShape {
  int64_t B, Hi, H, T, E, L, Lo;
};
std::vector<float> lowrank_projection(const Codes& a, const Weight& w, const LowrankShape& s,
                                      std::optional<float> threshold);

// y [B, H, T, l], w [H*L, D] -> out [B, 1, T, D]. Scales of y: [1] or [B*T]; of w: [1] or [D].
struct TailShape {
  int64_t B, H, T, l, L, D;
};
std::vector<float> decoder_tail(const Codes& y, const Weight& w, const TailShape& s);

struct Blocks {
  std::vector<uint8_t> packed;  // every block of 32 values starts on a byte of its own
  std::vector<float> scales;    // one a block
};

// encoding: "int8", "ternary", "binary". Expanding n values throws std::invalid_argument, naming the block, on a
// ternary code 3 and on data of the wrong size.
Blocks rho_compress(std::span<const float> x, std::string_view encoding);
std::vector<float> rho_expand(const Blocks& blocks, int64_t n, std::string_view encoding);

}  // namespace oracle
