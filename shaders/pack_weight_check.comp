// pack_weight, once scales are known: finds the first value that is not finite, and the first channel whose sum
// overflows, before an output is touched.
//
// An invocation a value. A NaN for a scale tells that its channel holds one or the other, so that only the values of
// such channels are read; the rest costs a read of the scale, which the cache has.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "dispatch.glsl"
#include "numbers.h"
#include "weight.glsl"

layout(local_size_x_id = 0) in;

layout(binding = 0, std430) readonly restrict buffer Input { uint values[]; };
layout(binding = 1, std430) readonly restrict buffer Scales { uint scales[]; };
layout(binding = 2, std430) restrict buffer Refused { uint refused[]; };

layout(push_constant, std430) uniform Push {
  uint origin[3];
  Piece piece;
  uint first;    // index of the piece's first value
  uint channel;  // the first that is bound
} push;

void main() {
  const uint i = workgroup_index() * gl_WorkGroupSize.x + gl_LocalInvocationIndex;
  if (i >= push.piece.count) return;
  const uint channel = channel_of(push.piece, i), slot = push.origin[2] / 4u;
  if (scales[push.origin[1] / 4u + channel] != LOWBIT_NAN_BITS) return;
  atomicMin(refused[slot + 1u], push.channel + channel);  // values come first
  const uint x = values[push.origin[0] / 4u + word_of(push.piece, i)];
  if ((x & LOWBIT_INFINITY_BITS) == LOWBIT_INFINITY_BITS) atomicMin(refused[slot], push.first + i);
}
