// Where groups lie in a dispatch, in words (vulkan/groups.h): group (o, i) of outer x inner starts at
// o * outer_step + i * inner_step, and its rows are `pitch` apart.
#ifndef LOWBIT_PLACES_GLSL
#define LOWBIT_PLACES_GLSL

struct Places {
  uint outer_step, inner_step, pitch;
};

// Of the group, numbered with i the faster.
uint group_start(Places places, uint inner, uint group) {
  return group / inner * places.outer_step + group % inner * places.inner_step;
}

#endif
