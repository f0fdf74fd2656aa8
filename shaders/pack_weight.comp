// pack_weight's last pass: weights [..., K, N] f32 and their scales -> codes of 8, 2 or 1 bits in the C order of the
// tensor, bit for bit docs/numerics.md, unless the call was refused.
//
// An invocation a word of memory, which holds 4, 16 or 32 codes: code i of the piece stands in slot lead + i, counted
// from the word where the piece begins. Words that hold other bytes or another piece's codes too are merged by atomics.
//
//   slot      0 .. lead-1   lead .. lead+count-1   .. lead+owned-1
//   holds     not ours      codes of the piece     0, to the last byte's end where the tensor ends
//
// Weights are packed once, so this is plain rather than fast: neighbours read runs of values, 4 to 32 apart.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "bytes.glsl"
#include "dispatch.glsl"
#include "scale.glsl"
#include "weight.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint BITS = 8;  // of a code: 8 int8, 2 ternary, 1 binary

layout(binding = 0, std430) readonly restrict buffer Input { uint values[]; };
layout(binding = 1, std430) readonly restrict buffer Scales { uint scales[]; };
layout(binding = 2, std430) readonly restrict buffer Refused { uint refused[]; };
layout(binding = 3, std430) restrict buffer Packed { uint packed[]; };

layout(push_constant, std430) uniform Push {
  uint origin[4];
  Piece piece;
  uint lead;   // slots of the first byte that are another piece's
  uint owned;  // slots to write
} push;

uint stored_code(uint x, uint scale, uint inverse) {
  return BITS == 8u   ? quantized_code(x, inverse, LOWBIT_QMAX_INT8, false)
         : BITS == 2u ? ternary_code(x, scale)
                      : binary_code(x, scale);
}

void main() {
  const uint slots = 32u / BITS, lead = push.origin[3] % 4u * (8u / BITS) + push.lead;
  const uint at = workgroup_index() * gl_WorkGroupSize.x + gl_LocalInvocationIndex, first = at * slots;
  if (first >= lead + push.owned || IS_REFUSED(refused, push.origin[2] / 4u)) return;

  uint word = 0u, mask = 0u, last_channel = ~0u, scale = 0u, inverse = 0u;
  for (uint slot = 0u; slot < slots; ++slot) {
    const uint i = first + slot - lead;  // wraps below the lead
    if (i >= push.owned) continue;
    mask |= (0xffffffffu >> (32u - BITS)) << BITS * slot;
    if (i >= push.piece.count) continue;
    const uint channel = channel_of(push.piece, i);
    if (channel != last_channel) {
      scale = scales[push.origin[1] / 4u + channel];
      if (BITS == 8u) inverse = inverse_of(scale);
      last_channel = channel;
    }
    const uint x = values[push.origin[0] / 4u + word_of(push.piece, i)];
    word |= stored_code(x, scale, inverse) << BITS * slot;
  }
  STORE_BYTES(packed, push.origin[3] / 4u + at, word, mask)
}
