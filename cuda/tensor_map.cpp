#include "tensor_map.h"

#include <cuda.h>
#include <cuda_runtime.h>
#include <fmt/format.h>

#include <cstring>

namespace lowbit::core::cuda {

static_assert(sizeof(TensorMap) == sizeof(CUtensorMap) && alignof(TensorMap) >= alignof(CUtensorMap));

namespace {

// libcuda is not linked: the runtime asks it.
auto encode_tiled() {
  static const auto function = [] {
    void* found = nullptr;
    cudaDriverEntryPointQueryResult result{};
    cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000, cudaEnableDefault, &result);
    return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(found);
  }();
  return function;
}

}  // namespace

bool can_make_tensor_maps() { return encode_tiled() != nullptr; }

Status make_tensor_map(const char* what, const BoxedBytes& b, TensorMap* map) {
  const cuuint64_t extents[4] = {b.extents[0], b.extents[1], b.extents[2], b.extents[3]};
  const cuuint64_t strides[3] = {b.strides[0], b.strides[1], b.strides[2]};
  const cuuint32_t box[4] = {b.box_bytes, b.box_rows, 1, 1}, every[4] = {1, 1, 1, 1};
  CUtensorMap made;
  const CUresult result = encode_tiled()(&made, CU_TENSOR_MAP_DATA_TYPE_UINT8, 4, const_cast<void*>(b.data), extents,
                                         strides, box, every, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                         CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS) {
    return {
        LOWBIT_DRIVER_ERROR,
        fmt::format("cuTensorMapEncodeTiled refused {}: {} x {} x {} rows of {} bytes, strides {}, {}, {}", what,
                    b.extents[3], b.extents[2], b.extents[1], b.extents[0], b.strides[2], b.strides[1], b.strides[0]),
        result};
  }
  std::memcpy(map, &made, sizeof(made));
  return {};
}

}  // namespace lowbit::core::cuda
