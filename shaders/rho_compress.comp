// rho_compress: floats -> a scale for each block of 32 and codes of 8, 2 or 1 bits, bit for bit docs/numerics.md.
//
// Bound by memory: int8 moves 5.125 bytes a value, ternary 4.375 and binary 4.25, against some 15 operations. Eight
// invocations share a block, four neighbours each, so that a workgroup reads consecutive memory by 16 bytes an
// invocation. Sums go by treesum's strides: 16, 8 and 4 between invocations, 2 and 1 inside one. Codes are gathered in
// shared memory and leave as whole words; the first and last of a workgroup are merged where the tensor is not aligned.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "scale.glsl"
#include "rho.glsl"

layout(binding = 0, std430) readonly restrict buffer Input { uint values[]; };
layout(binding = 0, std430) readonly restrict buffer WideInput { uvec4 wide_values[]; };
layout(binding = 1, std430) restrict buffer Packed { uint packed[]; };
layout(binding = 2, std430) writeonly restrict buffer Scales { uint scales[]; };

layout(push_constant, std430) uniform Push {
  uint origin[3];
  Values piece;
  uint factor, last_factor;  // of a whole block's total, and of the piece's last
} push;

shared uvec4 found[gl_WorkGroupSize.x];

uvec4 load_word(uint i) {
  const uint first = push.origin[0] / 4u;
  if (IS_WHOLE) return i < push.piece.count ? wide_values[(first + i) / 4u] : uvec4(0u);
  uvec4 x = uvec4(0u);
  for (uint j = 0u; j < kWord && i + j < push.piece.count; ++j) x[j] = values[first + place_of(push.piece, i + j)];
  return x;
}

uint combine(uint a, uint b) { return BITS == 8u ? max(a, b) : f32_add_magnitudes(a, b); }

// The maximum or treesum of the block, in each of its invocations.
uint block_total(uvec4 x) {
  const uint thread = gl_LocalInvocationIndex, lane = thread % kLanes;
  for (uint j = 0u; j < kWord; ++j) x[j] = counted(x[j], false);
  for (uint distance = kLanes / 2u; distance > 0u; distance /= 2u) {
    found[thread] = x;
    barrier();
    if (lane < distance) {
      const uvec4 other = found[thread + distance];
      for (uint j = 0u; j < kWord; ++j) x[j] = combine(x[j], other[j]);
    }
    barrier();
  }
  if (lane == 0u) found[thread].x = combine(combine(x[0], x[2]), combine(x[1], x[3]));
  barrier();
  return found[thread - lane].x;
}

// Four codes; those of values that are not there are 0.
uint stored_codes(uvec4 x, uint i, uint scale) {
  const uint inverse = BITS == 8u ? inverse_of(scale) : 0u;
  uint codes = 0u;
  for (uint j = 0u; j < kWord && i + j < push.piece.count; ++j) {
    const uint code = BITS == 8u   ? quantized_code(x[j], inverse, LOWBIT_QMAX_INT8, false)
                      : BITS == 2u ? ternary_code(x[j], scale)
                                   : binary_code(x[j], scale);
    codes |= code << BITS * j;
  }
  return codes;
}

// Puts the codes of all invocations into `stream`.
void gather_codes(uint codes) {
  const uint thread = gl_LocalInvocationIndex, sharers = 8u / BITS;  // of a word
  found[thread].x = codes;
  barrier();
  if (thread < stream_bytes() / 4u) {
    uint word = 0u;
    for (uint j = 0u; j < sharers; ++j) word |= found[thread * sharers + j].x << j * BITS * kWord;
    stream[thread + 1u] = word;
  }
  if (thread == 0u) stream[0] = 0u;
  barrier();
}

void main() {
  const uint thread = gl_LocalInvocationIndex, group_values = gl_WorkGroupSize.x * kWord;
  const uint group = workgroup_index();
  if (group * group_values >= push.piece.count) return;
  const uint i = group * group_values + thread * kWord;
  const uvec4 x = load_word(i);
  const uint block = i / LOWBIT_RHO_BLOCK;
  const bool is_last = (block + 1u) * LOWBIT_RHO_BLOCK >= push.piece.count;
  const uint scale = scale_of(block_total(x), is_last ? push.last_factor : push.factor);
  if (thread % kLanes == 0u && i < push.piece.count) scales[push.origin[2] / 4u + block] = scale;

  gather_codes(stored_codes(x, i, scale));
  const uint bytes = (min(push.piece.count - group * group_values, group_values) * BITS + 7u) / 8u;
  const uint start = push.origin[1] + group * stream_bytes(), shift = start % 4u;
  for (uint k = thread; 4u * k < bytes + shift; k += gl_WorkGroupSize.x) {
    const uint after = k < stream_bytes() / 4u ? stream[k + 1u] : 0u;
    const uint word = shifted_word(stream[min(k, stream_bytes() / 4u)], after, shift);
    const uint mask = byte_mask(int(4u * k) - int(shift), int(bytes));
    STORE_BYTES(packed, start / 4u + k, word, mask)
  }
}
