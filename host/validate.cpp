#include "validate.h"

#include <algorithm>

namespace lowbit::core {

int64_t span_bytes(const Tensor& t) {
  constexpr int64_t kLimit = int64_t{1} << 62;
  int64_t rows = 1, bytes = 0;
  for (int axis = 0; axis + 1 < t.rank; ++axis) {
    if (__builtin_mul_overflow(rows, t.shape[axis], &rows)) return -1;
  }
  if (__builtin_mul_overflow(rows - 1, t.row_stride, &bytes) || __builtin_add_overflow(bytes, row_length(t), &bytes) ||
      __builtin_mul_overflow(bytes, element_size(t.type), &bytes)) {
    return -1;
  }
  return bytes <= kLimit ? bytes : -1;
}

std::string shape_text(const Tensor& tensor) {
  std::string text;
  for (int axis = 0; axis < tensor.rank; ++axis) text += fmt::format("{}{}", axis == 0 ? "" : ", ", tensor.shape[axis]);
  return "[" + text + "]";
}

Status Validator::tensor(const char* name, Tensor* tensor, std::initializer_list<lowbit_type> types, int min_rank,
                         int max_rank) const {
  if (tensor->data == nullptr) return fail("{}.data is NULL", name);
  if (tensor->rank < min_rank || tensor->rank > max_rank) {
    return fail("{}.rank is {}, it may be {} to {}", name, tensor->rank, min_rank, max_rank);
  }
  if (std::find(types.begin(), types.end(), tensor->type) == types.end()) {
    return member(fmt::format("{}.type", name).c_str(), tensor->type, types);
  }
  for (int axis = 0; axis < tensor->rank; ++axis) {
    if (tensor->shape[axis] < 1)
      return fail("{} has shape {}, every axis must be at least 1", name, shape_text(*tensor));
  }
  if (tensor->row_stride == 0) tensor->row_stride = row_length(*tensor);
  if (tensor->row_stride < row_length(*tensor)) {
    return fail("{}.row_stride is {}, it must be 0 or at least the last axis of {}", name, tensor->row_stride,
                shape_text(*tensor));
  }
  const int64_t bytes = span_bytes(*tensor), size = element_size(tensor->type);
  if (bytes < 0 || tensor->offset > uint64_t{1} << 62)
    return fail("{} with shape {} is too large", name, shape_text(*tensor));
  if (position(*tensor) % static_cast<uint64_t>(size) != 0) {
    return fail("{} starts at {} {}, it must be a multiple of its element size {}", name,
                has_addresses_ ? "address" : "offset", position(*tensor), size);
  }
  const uint64_t needed = tensor->offset + static_cast<uint64_t>(bytes);
  if (tensor->size != 0 && tensor->size < needed) {
    return fail("{}.size is {} bytes, shape {} at offset {} needs {}", name, tensor->size, shape_text(*tensor),
                tensor->offset, needed);
  }
  return {};
}

Status Validator::flat(const char* name, Tensor* tensor, lowbit_type type, int64_t count) const {
  LOWBIT_TRY(this->tensor(name, tensor, {type}, 1, 4));
  int64_t have = row_count(*tensor) * row_length(*tensor);
  if (have != count)
    return fail("{} has shape {} with {} elements, it must have {}", name, shape_text(*tensor), have, count);
  if (tensor->row_stride != row_length(*tensor))
    return fail("{}.row_stride is {}, it must be contiguous", name, tensor->row_stride);
  return {};
}

Status Validator::extent(const char* name, const Tensor& tensor, int axis, int64_t expected,
                         const char* meaning) const {
  if (tensor.shape[axis] == expected) return {};
  return fail("{} has shape {}, its axis {} ({}) must be {}", name, shape_text(tensor), axis, meaning, expected);
}

// Each operand is taken as the whole span from its first to its last byte, padding between rows included.
Status Validator::disjoint(std::span<const Operand> operands) const {
  for (const Operand& a : operands) {
    if (!a.written) continue;
    const uint64_t begin_a = position(*a.tensor), end_a = begin_a + static_cast<uint64_t>(span_bytes(*a.tensor));
    for (const Operand& b : operands) {
      if (a.tensor == b.tensor || b.tensor->data == nullptr) continue;
      if (!has_addresses_ && a.tensor->data != b.tensor->data) continue;
      const uint64_t begin_b = position(*b.tensor), end_b = begin_b + static_cast<uint64_t>(span_bytes(*b.tensor));
      if (begin_a < end_b && begin_b < end_a) return fail("{} overlaps {}", a.name, b.name);
    }
  }
  return {};
}

}  // namespace lowbit::core
