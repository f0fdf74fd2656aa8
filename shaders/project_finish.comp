// The last pass of a projection whose K was cut into slices: adds the slices' sums, scales and stores.
//
// Bound by memory: 4 bytes a slice and output, at most 64 slices unless K is deeper than they reach; 1 MB for 4096
// outputs, a microsecond. Sums of codes are added in 64 bits: whatever K is, they do not wrap. Sums of floats are added
// in the order of the slices.
#version 460
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 5
#include "projection.glsl"
#include "results.glsl"

layout(constant_id = 2) const bool ARE_FLOATS = false;

layout(binding = 0, std430) readonly restrict buffer Partials { uint partials[]; };
layout(binding = 4, std430) writeonly restrict buffer Output { uint outputs[]; };

// An invocation an output, with those that fill up the last panel.
void main() {
  const uint index = workgroup_index() * gl_WorkGroupSize.x + gl_LocalInvocationIndex;
  const uint tile = index / kPanelColumns, matrix = tile / push.panel_count;
  const uint panel = push.panel_first + tile % push.panel_count, n = panel * kPanelColumns + index % kPanelColumns;
  const uint m = push.m_first + matrix % push.m_count, z = push.z_first + matrix / push.m_count;
  if (z >= push.z_first + push.z_count || n >= push.N) return;

  const uint first = push.origin[0] / 4u + index % kPanelColumns + partial_place(m, z, panel) -
                     partial_place(push.m_first, push.z_first, push.panel_first);
  const uint slices = slices_of_problem();
  uint sum = partials[first];
  if (ARE_FLOATS) {
    for (uint i = 1u; i < slices; ++i) sum = f32_add(sum, partials[first + i * kPanelColumns]);
  } else {
    int high = int(sum) >> 31;
    for (uint i = 1u; i < slices; ++i) {
      const uint partial = partials[first + i * kPanelColumns];
      uint carry;
      sum = uaddCarry(sum, partial, carry);
      high += int(carry) + (int(partial) >> 31);
    }
    sum = f32_from_int64(sum, high);
  }
  outputs[push.origin[4] / 4u + output_place(m, z, n)] = scaled(sum, m, z, n);
}
