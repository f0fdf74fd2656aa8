// What DLPack 1.1 passes between programs, by its specification (https://dmlc.github.io/dlpack/latest/c_api.html), as far
// as lowbit reads it. Declared here since what distributions have may be older than 1.0; tests/dlpack_header_test.cpp
// compares the two where they overlap.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lowbit::core::dlpack {

// Another major version is another layout; a minor one adds enumerators and flags.
struct DLPackVersion {
  uint32_t major, minor;
};
constexpr DLPackVersion kVersion{1, 1};

enum DLDeviceType : int32_t { kDLCPU = 1, kDLCUDA = 2, kDLCUDAHost = 3, kDLVulkan = 7, kDLCUDAManaged = 13 };

struct DLDevice {
  DLDeviceType device_type;
  int32_t device_id;  // 0 for memory of the host, pinned and managed memory
};

enum DLDataTypeCode : uint8_t { kDLInt = 0, kDLUInt = 1, kDLFloat = 2, kDLBfloat = 4 };

// An element: `lanes` numbers side by side. Elements of less than a byte follow each other from the lowest bit of the first
// byte on.
struct DLDataType {
  DLDataTypeCode code;
  uint8_t bits;  // of a lane
  uint16_t lanes;
};

struct DLTensor {
  void* data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t* shape;        // [ndim]
  int64_t* strides;      // [ndim], elements; NULL: C order
  uint64_t byte_offset;  // from `data` to the first element
};

enum Flag : uint64_t { kReadOnly = 1 << 0, kIsCopied = 1 << 1, kIsSubbyteTypePadded = 1 << 2 };

struct DLManagedTensorVersioned {
  DLPackVersion version;
  void* manager_ctx;                                // the producer's
  void (*deleter)(DLManagedTensorVersioned* self);  // NULL where there is nothing to do
  uint64_t flags;
  DLTensor dl_tensor;
};

static_assert(sizeof(void*) != 8 ||
              (sizeof(DLDevice) == 8 && sizeof(DLDataType) == 4 && sizeof(DLTensor) == 48 &&
               sizeof(DLManagedTensorVersioned) == 80 && offsetof(DLManagedTensorVersioned, dl_tensor) == 32));

}  // namespace lowbit::core::dlpack
