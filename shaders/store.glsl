// Storing a kernel's sums in binding 4: outputs, or partials where K has several slices.
#ifndef LOWBIT_STORE_GLSL
#define LOWBIT_STORE_GLSL

#include "results.glsl"

layout(binding = 4, std430) writeonly restrict buffer Results { uint results[]; };

// `sum` is the slice's, and `rounded` its f32. m and n may be past the end of what is wanted.
void store_sum(uint m, uint z, uint n, uint slice, uint sum, uint rounded) {
  if (m >= m_end() || n >= panel_end() * kPanelColumns) return;
  const uint first = push.origin[4] / 4u;
  if (slices_of_problem() == 1u) {
    if (n < push.N) results[first + output_place(m, z, n)] = scaled(rounded, m, z, n);
    return;
  }
  results[first + partial_place(m, z, n / kPanelColumns) - partial_place(push.m_first, push.z_first, push.panel_first) +
          (slice - push.slice_first) * kPanelColumns + n % kPanelColumns] = sum;
}

#endif
