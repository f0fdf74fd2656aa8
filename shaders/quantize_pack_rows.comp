// quantize_pack of rows whose scales are known: rows of n f32 -> rows of ceil(n/4) words of codes, bit for bit
// docs/numerics.md.
//
// Bound by memory: 5 bytes a value, against some 15 operations. An invocation makes kTurns words, as far apart as the
// workgroup is wide, and works out the inverse of a scale only where it is another than the word's before.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "dispatch.glsl"
#include "scale.glsl"

layout(local_size_x_id = 0) in;

layout(binding = 0, std430) readonly restrict buffer Input { uint values[]; };
layout(binding = 1, std430) readonly restrict buffer Scales { uint scales[]; };
layout(binding = 2, std430) writeonly restrict buffer Codes { uint codes[]; };

const uint kTurns = 4u;  // kRowTurns of vulkan/quantize_pack.cpp

layout(push_constant, std430) uniform Push {
  uint origin[3];
  uint n, words, total;             // of a row: values, and words of codes; words in all
  uint input_stride, codes_stride;  // from a row to the next
  uint row, group;                  // the first row, and the first group that is bound
  uint rows, tokens;                // of a group: rows; groups beside each other
  uint qmax, is_unsigned;
} push;

// Of rows in memory order, from the first that is bound.
uint group_of(uint row) { return row / (push.rows * push.tokens) * push.tokens + row % push.tokens - push.group; }

void main() {
  uint last_group = ~0u, inverse = 0u;
  for (uint turn = 0u; turn < kTurns; ++turn) {
    const uint id = (workgroup_index() * kTurns + turn) * gl_WorkGroupSize.x + gl_LocalInvocationIndex;
    if (id >= push.total) return;
    const uint row = id / push.words, word = id % push.words, column = word * LOWBIT_CODES_PER_WORD;
    const uint group = group_of(push.row + row);
    if (group != last_group) inverse = inverse_of(scales[push.origin[1] / 4u + group]);
    last_group = group;

    const uint first = push.origin[0] / 4u + row * push.input_stride + column;
    uint made = 0u;
    for (uint j = 0u; j < LOWBIT_CODES_PER_WORD && column + j < push.n; ++j) {
      made |= quantized_code(values[first + j], inverse, push.qmax, push.is_unsigned != 0u) << 8u * j;
    }
    codes[push.origin[2] / 4u + row * push.codes_stride + word] = made;
  }
}
