// What rho_compress and rho_expand share: a flattened tensor in blocks of 32 values, eight invocations a block and four
// values an invocation; and its codes as a stream of bytes.
#ifndef LOWBIT_RHO_GLSL
#define LOWBIT_RHO_GLSL

#include "bytes.glsl"
#include "dispatch.glsl"
#include "numbers.h"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint BITS = 8;       // of a code: 8 int8, 2 ternary, 1 binary
layout(constant_id = 2) const bool IS_WHOLE = false;  // every four values lie in one aligned uvec4

const uint kLanes = 8, kWord = 4;  // invocations of a block, values of an invocation

// The piece of the tensor that a dispatch works on.
struct Values {
  uint count;   // values
  uint row_length;  // of a row
  uint stride;  // words from a row to the next
  uint column;  // of the piece's first value in its row
};

// The word of value i of the piece, from the piece's first.
uint place_of(Values values, uint i) {
  const uint at = values.column + i;
  return at / values.row_length * values.stride + at % values.row_length - values.column;
}

// Code i of four that stand in the low bits of `codes`.
uint code_at(uint codes, uint i) { return bitfieldExtract(codes, int(BITS * i), int(BITS)); }

// The codes of a workgroup as words, from its first byte on.
shared uint stream[gl_WorkGroupSize.x + 1];

uint stream_bytes() { return gl_WorkGroupSize.x * kWord * BITS / 8u; }

#endif
