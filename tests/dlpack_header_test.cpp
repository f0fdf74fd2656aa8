// host/dlpack.h beside the dlpack.h that the machine has: what both declare is the same. Debian's is 0.6, which ends
// before DLManagedTensorVersioned.
#include "dlpack.h"

#include <gtest/gtest.h>

#if __has_include(<dlpack/dlpack.h>)
#include <dlpack/dlpack.h>

#include "lowbit/lowbit.h"

namespace ours = lowbit::core::dlpack;

static_assert(static_cast<int>(ours::kDLCPU) == kDLCPU && static_cast<int>(ours::kDLCUDA) == kDLCUDA &&
              static_cast<int>(ours::kDLCUDAHost) == kDLCUDAHost && static_cast<int>(ours::kDLVulkan) == kDLVulkan &&
              static_cast<int>(ours::kDLCUDAManaged) == kDLCUDAManaged);
static_assert(static_cast<int>(ours::kDLInt) == kDLInt && static_cast<int>(ours::kDLUInt) == kDLUInt &&
              static_cast<int>(ours::kDLFloat) == kDLFloat && static_cast<int>(ours::kDLBfloat) == kDLBfloat);

#define LOWBIT_SAME_SIZE(type) \
  static_assert(sizeof(ours::type) == sizeof(::type) && alignof(ours::type) == alignof(::type))
#define LOWBIT_SAME_FIELD(type, field)                                    \
  static_assert(offsetof(ours::type, field) == offsetof(::type, field) && \
                sizeof(ours::type::field) == sizeof(::type::field))

LOWBIT_SAME_SIZE(DLDevice);
LOWBIT_SAME_FIELD(DLDevice, device_type);
LOWBIT_SAME_FIELD(DLDevice, device_id);
LOWBIT_SAME_SIZE(DLDataType);
LOWBIT_SAME_FIELD(DLDataType, code);
LOWBIT_SAME_FIELD(DLDataType, bits);
LOWBIT_SAME_FIELD(DLDataType, lanes);
LOWBIT_SAME_SIZE(DLTensor);
LOWBIT_SAME_FIELD(DLTensor, data);
LOWBIT_SAME_FIELD(DLTensor, device);
LOWBIT_SAME_FIELD(DLTensor, ndim);
LOWBIT_SAME_FIELD(DLTensor, dtype);
LOWBIT_SAME_FIELD(DLTensor, shape);
LOWBIT_SAME_FIELD(DLTensor, strides);
LOWBIT_SAME_FIELD(DLTensor, byte_offset);

#ifdef DLPACK_MAJOR_VERSION  // since 1.0
static_assert(ours::kVersion.major == DLPACK_MAJOR_VERSION);
static_assert(ours::kReadOnly == DLPACK_FLAG_BITMASK_READ_ONLY && ours::kIsCopied == DLPACK_FLAG_BITMASK_IS_COPIED);
#ifdef DLPACK_FLAG_BITMASK_IS_SUBBYTE_TYPE_PADDED  // since 1.1
static_assert(ours::kIsSubbyteTypePadded == DLPACK_FLAG_BITMASK_IS_SUBBYTE_TYPE_PADDED);
#endif
LOWBIT_SAME_SIZE(DLPackVersion);
LOWBIT_SAME_FIELD(DLPackVersion, major);
LOWBIT_SAME_FIELD(DLPackVersion, minor);
LOWBIT_SAME_SIZE(DLManagedTensorVersioned);
LOWBIT_SAME_FIELD(DLManagedTensorVersioned, version);
LOWBIT_SAME_FIELD(DLManagedTensorVersioned, manager_ctx);
LOWBIT_SAME_FIELD(DLManagedTensorVersioned, deleter);
LOWBIT_SAME_FIELD(DLManagedTensorVersioned, flags);
LOWBIT_SAME_FIELD(DLManagedTensorVersioned, dl_tensor);
#endif

TEST(DlpackHeader, AgreesWithTheMachines) {}  // by the assertions above
#else
TEST(DlpackHeader, AgreesWithTheMachines) { GTEST_SKIP() << "there is no dlpack/dlpack.h (Debian: libdlpack-dev)"; }
#endif
