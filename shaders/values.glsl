// Activations as the kernels of codes read them: words of four, in binding 0.
#ifndef LOWBIT_VALUES_GLSL
#define LOWBIT_VALUES_GLSL

#include "products.glsl"

layout(binding = 0, std430) readonly restrict buffer Values { uint values[]; };

// Four codes of a row, of which `left` are there.
uint load_quad(uint place, int left) { return left > 0 ? keep_codes(values[place], left) : 0u; }

// Sixteen of them.
uvec4 load_run(uint place, int left) {
  if (left >= 16) return uvec4(values[place], values[place + 1u], values[place + 2u], values[place + 3u]);
  return uvec4(load_quad(place, left), load_quad(place + 1u, left - 4), load_quad(place + 2u, left - 8),
               load_quad(place + 3u, left - 12));
}

#endif
