// What becomes of the sums: scaled, thresholded and stored where K is one slice; else put by for project_finish.
//
//   partials  [z][m][panel][slice][32]   words, of z < Z, m < M and the panels that outputs are wanted of
#ifndef LOWBIT_RESULTS_GLSL
#define LOWBIT_RESULTS_GLSL

#include "float32.glsl"

layout(binding = 2, std430) readonly restrict buffer InputScales { uint input_scales[]; };
layout(binding = 3, std430) readonly restrict buffer WeightScales { uint weight_scales[]; };

uint wanted_panels() { return (push.N + kPanelColumns - 1u) / kPanelColumns; }

// Where the partials of a tile of one row and one panel begin, in words from that of the problem's first.
uint partial_place(uint m, uint z, uint panel) {
  return ((z * push.M + m) * wanted_panels() + panel) * slices_of_problem() * kPanelColumns;
}

uint group_of(uint m, uint z) {
  const uint batch_rows = (push.flags & kBatchIsT) != 0u ? push.T : push.batch_rows;
  return m / push.T * batch_rows + m % push.T + z * push.head_rows;
}

uint input_scale(uint m, uint z) {
  if ((push.flags & kHostScale) != 0u) return push.input_scale;
  const uint group = (push.flags & kScaleOfRow) != 0u ? group_of(m, z) - group_of(push.m_first, push.z_first) : 0u;
  return input_scales[push.origin[2] / 4u + group];
}

uint weight_scale(uint z, uint n) {
  const uint first = push.panel_first * kPanelColumns;
  const uint channel = push.weight_columns != 0u ? (z - push.z_first) * push.weight_columns + n - first : 0u;
  return weight_scales[push.origin[3] / 4u + channel];
}

uint output_row(uint m, uint z) { return ((m / push.T * push.Z + z) * push.T + m % push.T) * push.out_stride; }

// From the first output that the dispatch binds, in words.
uint output_place(uint m, uint z, uint n) {
  return output_row(m, z) + n - output_row(push.m_first, push.z_first) - push.panel_first * kPanelColumns;
}

// The output of an f32 of a sum: docs/numerics.md, "Projections".
uint scaled(uint sum, uint m, uint z, uint n) {
  const uint result = f32_mul(sum, f32_mul(input_scale(m, z), weight_scale(z, n)));
  if ((push.flags & kThreshold) == 0u) return result;
  const uint above = f32_sub(result, push.threshold);
  return f32_is_nan(above) || f32_less(0u, above) ? above : 0u;
}

#endif
