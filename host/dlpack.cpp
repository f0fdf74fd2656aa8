#include "dlpack.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <string>

#include "device.h"
#include "host_memory.h"
#include "validate.h"

using namespace lowbit::core;
using namespace lowbit::core::dlpack;

namespace {

// What lowbit takes, and as what. The first of a lowbit_type is what it is handed out as.
struct Type {
  DLDataType dl;
  lowbit_type type;
};
constexpr Type kTypes[] = {{{kDLFloat, 32, 1}, LOWBIT_TYPE_F32},   {{kDLFloat, 16, 1}, LOWBIT_TYPE_F16},
                           {{kDLBfloat, 16, 1}, LOWBIT_TYPE_BF16}, {{kDLInt, 32, 1}, LOWBIT_TYPE_I32},
                           {{kDLInt, 8, 4}, LOWBIT_TYPE_I32},      {{kDLUInt, 8, 4}, LOWBIT_TYPE_I32},
                           {{kDLUInt, 8, 1}, LOWBIT_TYPE_U8},      {{kDLInt, 8, 1}, LOWBIT_TYPE_U8},
                           {{kDLUInt, 2, 1}, LOWBIT_TYPE_U8},      {{kDLUInt, 1, 1}, LOWBIT_TYPE_U8}};

// "float32", "int8x4", "type code 17 of 4 bits"
std::string type_text(DLDataType type) {
  constexpr const char* kCodes[] = {"int", "uint", "float", "opaque handle", "bfloat", "complex", "bool"};
  std::string text = type.code < std::size(kCodes) ? fmt::format("{}{}", kCodes[type.code], type.bits)
                                                   : fmt::format("type code {} of {} bits", +type.code, type.bits);
  if (type.lanes != 1) text += fmt::format("x{}", type.lanes);
  return text;
}

Status find_type(const Validator& check, DLDataType dtype, lowbit_type* type) {
  std::string names;
  for (const Type& known : kTypes) {
    if (known.dl.code == dtype.code && known.dl.bits == dtype.bits && known.dl.lanes == dtype.lanes) {
      *type = known.type;
      return {};
    }
    names += (names.empty() ? "" : ", ") + type_text(known.dl);
  }
  return check.fail("managed.dl_tensor.dtype is {}, it may be {}", type_text(dtype), names);
}

// The memory of a device, as lowbit hands it out.
DLDevice device_of(const Device& device) {
  switch (device.backend()) {
    case Backend::cuda:
      return {kDLCUDA, device.ordinal()};
    case Backend::vulkan:
      return {kDLVulkan, device.ordinal()};
    default:
      return {kDLCPU, 0};
  }
}

Status check_device(const Validator& check, const Device& device, bool on_host_memory, DLDevice of) {
  const DLDevice own = on_host_memory ? DLDevice{kDLCPU, 0} : device_of(device);
  if (own.device_type == kDLCPU) {
    if (of.device_type == kDLCPU || of.device_type == kDLCUDAHost) return {};
    return check.fail(
        "managed.dl_tensor.device.device_type is {}, it may be 1 (kDLCPU) or 3 (kDLCUDAHost): the stream's tensors are "
        "host memory",
        static_cast<int32_t>(of.device_type));
  }
  if (own.device_type == kDLCUDA && of.device_type == kDLCUDAManaged) return {};
  if (of.device_type != own.device_type) {
    return check.fail("managed.dl_tensor.device.device_type is {}, it may be {}", static_cast<int32_t>(of.device_type),
                      own.device_type == kDLCUDA ? "2 (kDLCUDA) or 13 (kDLCUDAManaged)" : "7 (kDLVulkan)");
  }
  if (of.device_id != own.device_id) {
    return check.fail("managed.dl_tensor.device.device_id is {}, it must be {}, the stream's device", of.device_id,
                      own.device_id);
  }
  return {};
}

// Checks that rows, along the last axis, are contiguous and one stride apart. What axes of one element have is never used.
Status read_row_stride(const Validator& check, const int64_t* strides, Tensor* tensor) {
  const int last = tensor->rank - 1;
  const int64_t length = row_length(*tensor);
  if (length != 1 && strides[last] != 1) {
    return check.fail("managed.dl_tensor.strides[{}] is {}, it must be 1: the last axis is contiguous", last,
                      strides[last]);
  }
  tensor->row_stride = length;
  int64_t rows = 1;  // behind the axis
  for (int axis = last - 1; axis >= 0; --axis) {
    if (tensor->shape[axis] == 1) continue;
    if (rows == 1) {
      if (strides[axis] < length) {
        return check.fail("managed.dl_tensor.strides[{}] is {}, it must be at least the last axis of {}", axis,
                          strides[axis], shape_text(*tensor));
      }
      tensor->row_stride = strides[axis];
    }
    int64_t expected = 0;
    if (__builtin_mul_overflow(rows, tensor->row_stride, &expected) || strides[axis] != expected) {
      return check.fail(
          "managed.dl_tensor.strides[{}] is {}, it must be {} * {}: the rows of {} are {} elements apart, all of them",
          axis, strides[axis], rows, tensor->row_stride, shape_text(*tensor), tensor->row_stride);
    }
    if (__builtin_mul_overflow(rows, tensor->shape[axis], &rows)) {
      return check.fail("managed.dl_tensor with shape {} is too large", shape_text(*tensor));
    }
  }
  return {};
}

// Packed codes of less than a byte as the bytes they are in.
Status flatten(const Validator& check, DLDataType dtype, Tensor* tensor) {
  if (tensor->row_stride != row_length(*tensor)) {
    return check.fail("managed.dl_tensor.strides leave {} elements between rows of {}, packed {} must be contiguous",
                      tensor->row_stride - row_length(*tensor), shape_text(*tensor), type_text(dtype));
  }
  int64_t bits = dtype.bits;
  for (int axis = 0; axis < tensor->rank; ++axis) {
    if (__builtin_mul_overflow(bits, tensor->shape[axis], &bits)) {
      return check.fail("managed.dl_tensor with shape {} is too large", shape_text(*tensor));
    }
  }
  tensor->rank = 1;
  tensor->shape[0] = tensor->row_stride = bits / 8 + (bits % 8 != 0);
  return {};
}

// A tensor that is handed out, and what keeps its memory.
struct Exported {
  dlpack::DLManagedTensorVersioned managed;
  int64_t shape[4], strides[4];
  std::shared_ptr<Memory> memory;
};

}  // namespace

lowbit_status lowbit_tensor_from_dlpack(const lowbit_stream* stream, const ::DLManagedTensorVersioned* managed,
                                        int32_t is_output, lowbit_tensor* tensor) {
  return boundary([&]() -> Status {
    if (stream == nullptr) return Validator("tensor_from_dlpack").fail("stream is NULL");
    const Device& device = stream->stream->device();
    const bool on_host_memory = stream->host_memory != nullptr;
    const Validator check("tensor_from_dlpack", on_host_memory || device.has_addresses());
    if (managed == nullptr) return check.fail("managed is NULL");
    if (tensor == nullptr) return check.fail("tensor is NULL");

    const auto& from = *reinterpret_cast<const dlpack::DLManagedTensorVersioned*>(managed);
    if (from.version.major != kVersion.major) {
      return check.fail("managed.version is {}.{}, its major version must be {}", from.version.major,
                        from.version.minor, kVersion.major);
    }
    if ((from.flags & ~uint64_t{kReadOnly | kIsCopied | kIsSubbyteTypePadded}) != 0) {
      return check.fail("managed.flags is {:#x}, it may have read_only (1), is_copied (2), is_subbyte_type_padded (4)",
                        from.flags);
    }
    if (is_output != 0 && (from.flags & kReadOnly) != 0) {
      return check.fail("managed.flags has read_only, and is_output is {}", is_output);
    }
    const DLTensor& dl = from.dl_tensor;
    LOWBIT_TRY(check_device(check, device, on_host_memory, dl.device));
    Tensor made{.data = dl.data, .offset = dl.byte_offset, .rank = dl.ndim};
    LOWBIT_TRY(find_type(check, dl.dtype, &made.type));
    if (dl.ndim < 1 || dl.ndim > 4) return check.fail("managed.dl_tensor.ndim is {}, it may be 1 to 4", dl.ndim);
    if (dl.shape == nullptr) return check.fail("managed.dl_tensor.shape is NULL");
    std::copy_n(dl.shape, dl.ndim, made.shape);
    for (int axis = 0; axis < dl.ndim; ++axis) {
      if (made.shape[axis] < 1) {
        return check.fail("managed.dl_tensor.shape[{}] is {}, it must be at least 1", axis, made.shape[axis]);
      }
    }
    made.row_stride = row_length(made);
    if (dl.strides != nullptr) LOWBIT_TRY(read_row_stride(check, dl.strides, &made));
    if (dl.dtype.bits < 8) {
      if ((from.flags & kIsSubbyteTypePadded) != 0) {
        return check.fail("managed.flags has is_subbyte_type_padded, {} must be packed", type_text(dl.dtype));
      }
      LOWBIT_TRY(flatten(check, dl.dtype, &made));
    }
    LOWBIT_TRY(check.tensor("managed.dl_tensor", &made, {made.type}, 1, 4));
    made.size = made.offset + static_cast<uint64_t>(span_bytes(made));
    *tensor = made;
    return {};
  });
}

lowbit_status lowbit_buffer_to_dlpack(const lowbit_buffer* buffer, const lowbit_tensor* view,
                                      ::DLManagedTensorVersioned** managed) {
  return boundary([&]() -> Status {
    if (buffer == nullptr) return Validator("buffer_to_dlpack").fail("buffer is NULL");
    const Memory& memory = *buffer->memory;
    const Validator check("buffer_to_dlpack", memory.device().has_addresses());
    if (view == nullptr) return check.fail("view is NULL");
    if (managed == nullptr) return check.fail("managed is NULL");
    Tensor tensor = *view;
    if (tensor.data != memory.data())
      return check.fail("view.data is not the buffer's, as lowbit_buffer_data() gives it");
    LOWBIT_TRY(check.tensor(
        "view", &tensor, {LOWBIT_TYPE_F32, LOWBIT_TYPE_F16, LOWBIT_TYPE_BF16, LOWBIT_TYPE_I32, LOWBIT_TYPE_U8}, 1, 4));
    const uint64_t end = tensor.offset + static_cast<uint64_t>(span_bytes(tensor));
    if (end > memory.size()) {
      return check.fail("view with shape {} at offset {} needs {} bytes, the buffer has {}", shape_text(tensor),
                        tensor.offset, end, memory.size());
    }

    auto made = std::make_unique<Exported>();
    made->memory = buffer->memory;
    std::copy_n(tensor.shape, 4, made->shape);
    const int last = tensor.rank - 1;
    made->strides[last] = 1;
    if (last > 0) made->strides[last - 1] = tensor.row_stride;
    for (int axis = last - 2; axis >= 0; --axis) {
      made->strides[axis] = made->strides[axis + 1] * made->shape[axis + 1];
    }
    const auto* type = std::find_if(std::begin(kTypes), std::end(kTypes),
                                    [&](const Type& known) { return known.type == tensor.type; });
    made->managed = {.version = kVersion,
                     .manager_ctx = made.get(),
                     .deleter = [](auto* self) { delete static_cast<Exported*>(self->manager_ctx); },
                     .flags = 0,
                     .dl_tensor = {.data = tensor.data,
                                   .device = device_of(memory.device()),
                                   .ndim = tensor.rank,
                                   .dtype = type->dl,
                                   .shape = made->shape,
                                   .strides = made->strides,
                                   .byte_offset = tensor.offset}};
    if (memory.device().has_addresses()) {  // there are readers that overlook byte_offset
      made->managed.dl_tensor.data = Location{tensor.data, tensor.offset}.as<void>();
      made->managed.dl_tensor.byte_offset = 0;
    }
    *managed = reinterpret_cast<::DLManagedTensorVersioned*>(&made.release()->managed);
    return {};
  });
}
