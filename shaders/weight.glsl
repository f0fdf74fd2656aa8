// What the passes of pack_weight share: a piece of the weights, and whether the call was refused.
#ifndef LOWBIT_WEIGHT_GLSL
#define LOWBIT_WEIGHT_GLSL

// Weights in C order, from some value on: whole rows, or a part of one.
struct Piece {
  uint count, columns, stride;  // values; of a row, and from a row to the next in words
  uint row, K;                  // the first row, in its matrix of K
  uint is_per_channel;
};

uint word_of(Piece piece, uint i) { return i / piece.columns * piece.stride + i % piece.columns; }

// From the first channel that is bound.
uint channel_of(Piece piece, uint i) {
  if (piece.is_per_channel == 0u) return 0u;
  return (piece.row + i / piece.columns) / piece.K * piece.columns + i % piece.columns;
}

// A slot of vulkan/refusals.h: the first value that is not finite, and the first channel whose sum overflows.
const uint kNothing = 0xffffffffu;

#define IS_REFUSED(refused, slot) (refused[slot] != kNothing || refused[(slot) + 1u] != kNothing)

#endif
