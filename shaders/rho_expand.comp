// rho_expand: blocks of 32 codes of 8, 2 or 1 bits with a scale each -> floats, code * scale, one rounding.
//
// Bound by memory: int8 moves 5.125 bytes a value, ternary 4.375 and binary 4.25, against some 4 operations. A
// workgroup reads its codes by whole words into shared memory; eight invocations write a block, four neighbours each. A
// ternary code 3 is refused, which shows once the call has run; what it expands to means nothing.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "float32.glsl"
#include "rho.glsl"

layout(binding = 0, std430) readonly restrict buffer Packed { uint packed[]; };
layout(binding = 1, std430) readonly restrict buffer Scales { uint scales[]; };
layout(binding = 2, std430) writeonly restrict buffer Output { uint values[]; };
layout(binding = 2, std430) writeonly restrict buffer WideOutput { uvec4 wide_values[]; };
layout(binding = 3, std430) restrict buffer Refused { uint refused[]; };

layout(push_constant, std430) uniform Push {
  uint origin[4];
  Values piece;
  uint first;  // of the piece's values in the tensor
} push;

int value_of(uint code) {
  if (BITS == 8u) return bitfieldExtract(int(code), 0, 8);
  return BITS == 2u ? int(code) - 1 : 2 * int(code) - 1;
}

void main() {
  const uint thread = gl_LocalInvocationIndex, group_values = gl_WorkGroupSize.x * kWord;
  const uint group = workgroup_index();
  if (group * group_values >= push.piece.count) return;
  const uint bytes = (min(push.piece.count - group * group_values, group_values) * BITS + 7u) / 8u;
  const uint start = push.origin[0] + group * stream_bytes(), shift = start % 4u;
  for (uint k = thread; 4u * k < bytes + shift; k += gl_WorkGroupSize.x) stream[k] = packed[start / 4u + k];
  barrier();

  const uint i = group * group_values + thread * kWord;
  if (i >= push.piece.count) return;
  const uint scale = scales[push.origin[1] / 4u + i / LOWBIT_RHO_BLOCK];
  uvec4 x;
  const uint first_bit = 8u * shift + thread * kWord * BITS, word = first_bit / 32u, bit = first_bit % 32u;
  uint codes = stream[word] >> bit;
  if (bit + kWord * BITS > 32u) codes |= stream[word + 1u] << (32u - bit);
  for (uint j = 0u; j < kWord; ++j) {
    const uint code = code_at(codes, j);
    if (BITS == 2u && code == 3u && i + j < push.piece.count) {
      atomicMin(refused[push.origin[3] / 4u], push.first + i + j);
    }
    x[j] = f32_mul(f32_from_int(value_of(code)), scale);
  }
  const uint first = push.origin[2] / 4u;
  if (IS_WHOLE) {
    wide_values[(first + i) / 4u] = x;
  } else {
    for (uint j = 0u; j < kWord && i + j < push.piece.count; ++j) values[first + place_of(push.piece, i + j)] = x[j];
  }
}
