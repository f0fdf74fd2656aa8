// quantize_pack of groups of up to 4096 values: rows [..., n] f32 -> codes [..., ceil(n/4)] words and one scale a
// group, bit for bit docs/numerics.md.
//
// Bound by memory: 5 bytes a value where the cache still has the group when its codes are made, against some 20
// operations. A team of invocations a group (treesum.glsl) reads it once for the scale, by consecutive words, and once
// more for the codes, of which each invocation writes whole words.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "dispatch.glsl"
#include "places.glsl"
#include "treesum.glsl"

layout(binding = 1, std430) writeonly restrict buffer Codes { uint codes[]; };
layout(binding = 2, std430) writeonly restrict buffer Scales { uint scales[]; };

layout(push_constant, std430) uniform Push {
  uint origin[3];
  Places from, to;
  uint inner, groups;  // groups beside each other, and in all
  uint rows, n;        // of a group: rows of n values
  uint factor;         // of the scale
  uint qmax, is_unsigned;
} push;

// Codes of the `left` values from `first` on, at most four.
uint code_word(uint first, uint left, uint inverse) {
  uint word = 0u;
  for (uint j = 0u; j < LOWBIT_CODES_PER_WORD && j < left; ++j) {
    word |= quantized_code(values[first + j], inverse, push.qmax, push.is_unsigned != 0u) << 8u * j;
  }
  return word;
}

void main() {
  const uint group = team_index(workgroup_index());
  const bool is_there = group < push.groups;
  const uint from = push.origin[0] / 4u + group_start(push.from, push.inner, group);
  const uint to = push.origin[1] / 4u + group_start(push.to, push.inner, group);
  const Segment segment = Segment(from, push.from.pitch, push.n, 0u, is_there ? push.rows * push.n : 0u);
  const uint scale = scale_of(segment_total(segment, push.is_unsigned != 0u), push.factor);
  if (!is_there) return;

  const uint lane = team_lane(), inverse = inverse_of(scale);
  if (lane == 0u) scales[push.origin[2] / 4u + group] = scale;
  const uint words = (push.n + LOWBIT_CODES_PER_WORD - 1u) / LOWBIT_CODES_PER_WORD;  // of a row
  Cursor at = cursor_at(lane, words);
  for (uint word = lane; word < push.rows * words; word += TEAM) {
    const uint column = at.column * LOWBIT_CODES_PER_WORD;
    codes[to + at.row * push.to.pitch + at.column] =
        code_word(from + at.row * push.from.pitch + column, push.n - column, inverse);
    advance(at, TEAM / words, TEAM % words, words);
  }
}
