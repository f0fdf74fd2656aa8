// The operations as kernels see them: validated, sizes worked out, row strides filled in. host/<operation>.cpp makes
// one from the public arguments; a kernel may rely on every invariant written here and checks nothing again.
#pragma once

#include <cstddef>
#include <optional>

#include "codes.h"
#include "lowbit/lowbit.h"

namespace lowbit::core {

class Weight;

using Tensor = lowbit_tensor;  // row_stride filled in, rank 1..4, every axis at least 1

inline int64_t row_length(const Tensor& t) { return t.shape[t.rank - 1]; }
inline int64_t row_count(const Tensor& t) {
  int64_t rows = 1;
  for (int axis = 0; axis + 1 < t.rank; ++axis) rows *= t.shape[axis];
  return rows;
}

inline int64_t element_size(lowbit_type type) {
  switch (type) {
    case LOWBIT_TYPE_F32:
    case LOWBIT_TYPE_I32:
      return 4;
    case LOWBIT_TYPE_F16:
    case LOWBIT_TYPE_BF16:
      return 2;
    default:
      return 1;
  }
}

// Host memory: the row's first element.
template <typename T>
T* row(const Tensor& t, int64_t index) {
  return reinterpret_cast<T*>(static_cast<std::byte*>(t.data) + t.offset) + index * t.row_stride;
}

// Which rows share a scale. Rows are numbered in memory order; a group has `rows` of them, in this order.
struct RowGroups {
  int64_t count;   // groups, that is scales
  int64_t rows;    // rows a group
  int64_t tokens;  // per_token_all_heads: T, the distance between a group's rows
  int64_t row(int64_t group, int64_t j) const { return (group / tokens * rows + j) * tokens + group % tokens; }
};

struct QuantizePack {
  Tensor input;   // [..., n] f32
  Tensor codes;   // [..., ceil(n/4)] words
  Tensor scales;  // [groups.count]
  lowbit_format format;
  lowbit_rule rule;
  RowGroups groups;
};

struct PackWeight {
  Tensor input;  // [..., K, N] f32
  Tensor packed;
  Tensor scales;  // [1] or [matrices * N]
  lowbit_format format;
  lowbit_rule rule;
  bool per_channel;
  int64_t matrices, K, N;
};

// Packed codes with their scales; or floats that stay floats (format f32, scale 1).
struct ActivationOperand {
  Tensor values;
  lowbit_format format;
  Tensor scales;  // [1] or one a group; data is NULL where `scale` is the one for all
  float scale;

  float scale_of(int64_t group) const {  // host backends
    if (scales.data == nullptr) return scale;
    return core::row<float>(scales, 0)[row_length(scales) == 1 ? 0 : group];
  }
};

struct LowrankProjection {
  ActivationOperand input;  // [B, Hi, T, E]; a group is a row
  const Weight* weight;     // [H, E, L]
  Tensor output;            // [B, H, T, Lo]
  std::optional<float> threshold;
  int64_t B, Hi, H, T, E, Lo;
};

struct DecoderTail {
  ActivationOperand input;  // [B, H, T, l]; a group is a token (b, t)
  const Weight* weight;     // [H, L, D]
  Tensor output;            // [B, 1, T, D]
  int64_t B, H, T, l, D;
};

struct RhoCompress {
  Tensor input;   // n values
  Tensor packed;  // bytes
  Tensor scales;  // ceil(n / 32)
  lowbit_format encoding;
  int64_t n;
};

struct RhoExpand {
  Tensor packed, scales, output;
  lowbit_format encoding;
  int64_t n;
};

}  // namespace lowbit::core
