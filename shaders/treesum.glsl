// A segment of treesum (docs/numerics.md) by a team of invocations of a workgroup.
//
// treesum has 256 lanes, lane i adding x[i], x[i+256], ... A team of 128 holds two of them in each invocation, i and
// i + 128, so that it reads consecutive memory, and the tree's first stride adds what an invocation holds. The other
// strides go through shared memory. A segment of up to 2 * TEAM values has nothing in the lanes beyond, which would add
// only +0: a smaller team does, and several of them share a workgroup. The maximum goes the same way, though it has no
// order to keep.
#ifndef LOWBIT_TREESUM_GLSL
#define LOWBIT_TREESUM_GLSL

#include "scale.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint TEAM = 128;       // invocations: 128, or fewer for segments of up to 2 * TEAM
layout(constant_id = 2) const bool IS_MEAN = false;  // sums; otherwise maxima

layout(binding = 0, std430) readonly restrict buffer Input { uint values[]; };

shared uint found[gl_WorkGroupSize.x];

uint team_lane() { return gl_LocalInvocationIndex % TEAM; }
// The team's number in a dispatch that has `workgroup` of them before this one.
uint team_index(uint workgroup) { return workgroup * (gl_WorkGroupSize.x / TEAM) + gl_LocalInvocationIndex / TEAM; }

// Goes through elements of rows of n in steps of TEAM, without a division a step.
struct Cursor {
  uint row, column;
};

Cursor cursor_at(uint element, uint n) { return Cursor(element / n, element % n); }

void advance(inout Cursor at, uint row_step, uint column_step, uint n) {
  at.row += row_step;
  at.column += column_step;
  if (at.column >= n) {
    at.column -= n;
    ++at.row;
  }
}

// `count` values of rows of n that lie `pitch` apart. The first stands in `first`, in column `column` of its row.
struct Segment {
  uint first, pitch, n, column, count;
};

uint combine(uint a, uint b) { return IS_MEAN ? f32_add_magnitudes(a, b) : max(a, b); }

// The sum or maximum of what counts, in every invocation of the team; all of the workgroup come here.
uint segment_total(Segment segment, bool is_unsigned) {
  const uint thread = gl_LocalInvocationIndex, lane = team_lane();
  const uint row_step = TEAM / segment.n, column_step = TEAM % segment.n, start = segment.first - segment.column;
  Cursor at = cursor_at(segment.column + lane, segment.n);
  uint low = 0u, high = 0u;
  for (uint i = lane; i < segment.count; i += 2u * TEAM) {
    low = combine(low, counted(values[start + at.row * segment.pitch + at.column], is_unsigned));
    advance(at, row_step, column_step, segment.n);
    if (i + TEAM < segment.count) {
      high = combine(high, counted(values[start + at.row * segment.pitch + at.column], is_unsigned));
      advance(at, row_step, column_step, segment.n);
    }
  }
  found[thread] = combine(low, high);
  for (uint stride = TEAM / 2u; stride > 0u; stride /= 2u) {
    barrier();
    if (lane < stride) found[thread] = combine(found[thread], found[thread + stride]);
  }
  barrier();
  return found[thread - lane];
}

#endif
