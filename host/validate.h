// The checks behind the public functions. Every failure is one sentence: operation, argument, what it was, what it may
// be.
#pragma once

#include <initializer_list>
#include <span>
#include <string>

#include "codes.h"
#include "invalid_argument.h"
#include "operations.h"
#include "status.h"

namespace lowbit::core {

// Bytes from the first element to the end of the last row; -1 when that does not fit in 2^62.
int64_t span_bytes(const Tensor& tensor);

// "[2, 3, 4]"
std::string shape_text(const Tensor& tensor);

// A tensor of a call. Its data is NULL where an optional one is left out.
struct Operand {
  const char* name;
  Tensor* tensor;
  bool written;
};

// Names the operation in every sentence.
class Validator {
 public:
  // `has_addresses`: a tensor's data is an address, as Device::has_addresses() says.
  explicit Validator(const char* operation, bool has_addresses = true)
      : operation_(operation), has_addresses_(has_addresses) {}

  // Rank in [min_rank, max_rank], one of `types`, every axis at least 1, no overflow, aligned, not NULL, stride and
  // size large enough. Fills in row_stride.
  Status tensor(const char* name, Tensor* tensor, std::initializer_list<lowbit_type> types, int min_rank,
                int max_rank) const;
  // The same for a flat, contiguous one of exactly `count` elements (any rank).
  Status flat(const char* name, Tensor* tensor, lowbit_type type, int64_t count) const;
  Status extent(const char* name, const Tensor& tensor, int axis, int64_t expected, const char* meaning) const;
  // One of the enumerators that are allowed here.
  template <typename Enum>
  Status member(const char* name, Enum value, std::initializer_list<Enum> allowed) const {
    for (Enum candidate : allowed) {
      if (value == candidate) return {};
    }
    std::string names;
    for (Enum candidate : allowed) names += (names.empty() ? "" : ", ") + name_of(candidate);
    return fail("{} is {}, it may be {}", name, name_of(value), names);
  }
  // Outputs may share no byte with inputs or with each other.
  Status disjoint(std::span<const Operand> operands) const;

  template <typename... Args>
  Status fail(fmt::format_string<Args...> format, Args&&... args) const {
    return {LOWBIT_INVALID_ARGUMENT,
            fmt::format("{}: ", operation_) + fmt::format(format, std::forward<Args>(args)...)};
  }

 private:
  // Where the tensor's first element is in what `data` names: all of memory, or a buffer.
  uint64_t position(const Tensor& tensor) const {
    return (has_addresses_ ? reinterpret_cast<uintptr_t>(tensor.data) : 0) + tensor.offset;
  }
  const char* operation_;
  bool has_addresses_;
};

}  // namespace lowbit::core
