// One step of the scales of groups: each segment of 4096 values of a group to its sum or maximum; where a group has but
// one segment, to its scale. The same kernel then runs over the results, bit for bit docs/numerics.md.
//
// Bound by memory: it reads 4 bytes a value and does some 5 operations on it. A team of invocations a segment
// (treesum.glsl) reads consecutive words, and nothing is written but a word a segment.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "dispatch.glsl"
#include "places.glsl"
#include "treesum.glsl"

layout(binding = 1, std430) writeonly restrict buffer Totals { uint totals[]; };

layout(push_constant, std430) uniform Push {
  uint origin[2];
  Places places;
  uint inner, segments;  // groups beside each other; segments of each that the dispatch has
  uint total;            // segments in all
  uint n;                // values of a row
  uint column, left;     // of the first segment: its first value's column, and values of the group from there on
  uint factor;           // of the scale; 0 where there are more segments than one
  uint is_unsigned;
} push;

void main() {
  const uint id = team_index(workgroup_index()), start = id % push.segments * LOWBIT_TREESUM_SEGMENT;
  const uint group = group_start(push.places, push.inner, id / push.segments);
  const bool is_there = id < push.total;
  // The segment's place is counted from the row of the first.
  const Cursor at = cursor_at(push.column + start, push.n);
  const uint first = push.origin[0] / 4u + group + at.row * push.places.pitch + at.column - push.column;
  const uint count = is_there ? min(push.left - start, LOWBIT_TREESUM_SEGMENT) : 0u;
  const uint total = segment_total(Segment(first, push.places.pitch, push.n, at.column, count), push.is_unsigned != 0u);
  if (is_there && team_lane() == 0u) {
    totals[push.origin[1] / 4u + id] = push.factor != 0u ? scale_of(total, push.factor) : total;
  }
}
