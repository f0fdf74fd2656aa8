// The instruction set that a file is being compiled for: LOWBIT_ISA, in whose namespace everything is, and its isa.h.
// What every isa.h provides, for vectors of kLanes columns:
//
//   Vector                          a 32-bit lane for each of kLanes columns: a sum, or a word of four codes
//   load, store, zero               of a Vector, at any address
//   steps<W>(words, j)              bytes 0 to 255: the codes 4j..4j+3 of words of panel64
//   columns<W>(row, part)           bytes: the codes at place part * sizeof(Vector) on of 64 columns of rows64
//   interleave(rows, words)         four of these to words, out[v] being columns 16v + part * kLanes on
//   operand<W, kSigned>(codes)      such words as dot() wants them: the same, or less 128
//   kOffset<W, kSigned>             what is to be taken from the product of each activation: a * w = a * (w + kOffset) - ...
//   dot<W, kSigned, N>(sums, words, activations)   adds the products with N words' codes to the sums
//   kFold<W>                        words that dot() likes to have at once
//   kActivationBytes<W>             of an activation as dot() reads it
//   place<W, kSigned>(codes, to)    64 codes as such activations, where those are not the codes' bytes
//
//   kTileRows, kTileVectors[]       of a register tile: the most rows, and how many vectors of columns 1, 2 ... rows take
//
// A set may bring tiles of its own: LOWBIT_OWN_TILES is a header with a TileSession, arrange() and tile_panel() in place of
// tile.h's. Such a set is for many rows only and needs no dot().
//
// kSigned: activations are int8, not uint8. W is the weight's format. Ternary and binary codes are used as the 0, 1 and
// 2 that they are stored as: w = kFactor * u - kOffset.
#pragma once

#include "codes.h"
#include "layout.h"

namespace lowbit::core::LOWBIT_ISA {

#define LOWBIT_INLINE __attribute__((always_inline))

template <lowbit_format W>
constexpr int kFactor = W == LOWBIT_BINARY ? 2 : 1;

}  // namespace lowbit::core::LOWBIT_ISA

#include LOWBIT_ISA_HEADER
