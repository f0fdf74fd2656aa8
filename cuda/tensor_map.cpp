#include "tensor_map.h"

#include <cuda.h>
#include <cuda_runtime.h>

#include <cstring>

namespace lowbit::core::cuda {

static_assert(sizeof(TensorMap) == sizeof(CUtensorMap) && alignof(TensorMap) >= alignof(CUtensorMap));

Status make_tensor_map(const BoxedBytes& b, TensorMap* map) {
  // libcuda is not linked: the runtime asks it.
  static const auto encode = [] {
    void* function = nullptr;
    cudaDriverEntryPointQueryResult found{};
    cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &found);
    return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function);
  }();
  if (encode == nullptr) return {LOWBIT_DRIVER_ERROR, "the driver lacks cuTensorMapEncodeTiled"};
  const cuuint64_t extents[4] = {b.extents[0], b.extents[1], b.extents[2], b.extents[3]};
  const cuuint64_t strides[3] = {b.strides[0], b.strides[1], b.strides[2]};
  const cuuint32_t box[4] = {b.box_bytes, b.box_rows, 1, 1}, every[4] = {1, 1, 1, 1};
  CUtensorMap made;
  const CUresult result = encode(&made, CU_TENSOR_MAP_DATA_TYPE_UINT8, 4, const_cast<void*>(b.data), extents, strides,
                                 box, every, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                 CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS) return {LOWBIT_DRIVER_ERROR, "cuTensorMapEncodeTiled refused the activations", result};
  std::memcpy(map, &made, sizeof(made));
  return {};
}

}  // namespace lowbit::core::cuda
