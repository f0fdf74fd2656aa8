// Running a projection by one of the kernels: K cut into slices, the problem into pieces, and the last pass.
#pragma once

#include <array>

#include "kernels.h"
#include "problem.h"

namespace lowbit::core::vulkan {

// What a kernel needs to know of its workgroups, and what is to be known of them.
struct ProjectionKernel {
  Shader shader;
  Arithmetic arithmetic;
  int64_t tile_rows, tile_panels;  // of a workgroup
  uint32_t group = kThreads;
  std::array<uint32_t, 3> constants = {};  // specialisation constants from 3 on
  int64_t most_depth;                      // products that a slice may sum
  int64_t most_rows = INT64_MAX;           // of a panel, in a slice
  int64_t step_rows = 1;                   // rows of a panel that it takes at once, of one segment
  int64_t least_rows;                      // a slice with fewer is not worth having
  int64_t cost = 1;                        // of a product, in multiply-adds
};

// The build of a shader that is made in four.
#define LOWBIT_PRODUCTS_SHADER(name, products, arithmetic)                   \
  ((products) == Products::dot ? LOWBIT_FLOAT_SHADER(name##_dot, arithmetic) \
                               : LOWBIT_FLOAT_SHADER(name##_plain, arithmetic))

Status project(Stream& stream, Problem problem, const ProjectionKernel& kernel);

}  // namespace lowbit::core::vulkan
