// What a tensor copy of sm_90 (copy_box in ptx_sm90a.h) knows of the memory it reads.
#pragma once

#include <cstdint>

#include "status.h"

namespace lowbit::core::cuda {

// A parameter of a kernel, by value and __grid_constant__. The driver's CUtensorMap.
struct alignas(128) TensorMap {
  uint64_t words[16];
};

struct BoxedBytes {
  const void* data;     // aligned to 16
  uint64_t extents[4];  // bytes of a row, rows, and two outer axes
  uint64_t strides[3];  // bytes, of the axes but the first; multiples of 16
  uint32_t box_bytes;   // of a row: 128, the width of the swizzle
  uint32_t box_rows;    // up to 256
};
// `what` is said of a tensor that the driver refuses.
Status make_tensor_map(const char* what, const BoxedBytes& bytes, TensorMap* map);
// Whether the driver knows them.
bool can_make_tensor_maps();

}  // namespace lowbit::core::cuda
