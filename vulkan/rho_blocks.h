// What rho_compress and rho_expand share: a flattened tensor of floats, and how it is cut.
#pragma once

#include "recording.h"

namespace lowbit::core::vulkan {

constexpr int64_t kRhoGroupBlocks = kThreads * 4 / LOWBIT_RHO_BLOCK;  // of a workgroup

constexpr uint32_t rho_bits(lowbit_format encoding) { return 8 / static_cast<uint32_t>(codes_per_byte(encoding)); }

// Values of shaders/rho.glsl.
struct RhoPiece {
  uint32_t count, row_length, stride, column;
};

// The blocks of the tensor `values` with n values.
class RhoTensor {
 public:
  RhoTensor(const Tensor& values, int64_t n)
      : values_(values),
        n_(n),
        row_length_(values.row_stride == row_length(values) ? n : row_length(values)),
        stride_(values.row_stride) {}

  // Where the values of blocks first .. first + count - 1 lie, from the first of them to the last.
  Range range(int64_t first, int64_t count) const {
    const int64_t begin = first * LOWBIT_RHO_BLOCK, last = begin + values_of(first, count) - 1;
    return {buffer_of(values_.data), values_.offset + 4 * place(begin), 4 * (place(last) - place(begin) + 1)};
  }
  RhoPiece piece(int64_t first, int64_t count) const {
    const int64_t column = first * LOWBIT_RHO_BLOCK % row_length_;
    return {static_cast<uint32_t>(values_of(first, count)), static_cast<uint32_t>(row_length_),
            static_cast<uint32_t>(stride_), static_cast<uint32_t>(column)};
  }
  int64_t values_of(int64_t first, int64_t count) const {
    return std::min(count * LOWBIT_RHO_BLOCK, n_ - first * LOWBIT_RHO_BLOCK);
  }
  // Whether every four values lie side by side in an aligned uvec4.
  bool is_whole() const { return values_.offset % 16 == 0 && row_length_ == n_ && n_ % 4 == 0; }

 private:
  uint64_t place(int64_t i) const { return static_cast<uint64_t>(i / row_length_ * stride_ + i % row_length_); }

  const Tensor& values_;
  int64_t n_, row_length_, stride_;
};

// Bytes of the codes of blocks first .. first + count - 1, and their scales.
inline Range rho_codes(const Tensor& packed, lowbit_format encoding, const RhoTensor& values, int64_t first,
                       int64_t count) {
  const auto begin = static_cast<uint64_t>(packed_size(encoding, first * LOWBIT_RHO_BLOCK));
  const auto size = static_cast<uint64_t>(packed_size(encoding, values.values_of(first, count)));
  return {buffer_of(packed.data), packed.offset + begin, size};
}
inline Range rho_scales(const Tensor& scales, int64_t first, int64_t count) {
  return {buffer_of(scales.data), scales.offset + 4 * static_cast<uint64_t>(first), 4 * static_cast<uint64_t>(count)};
}

// Calls visit(first, count) for pieces of the n values' blocks that one dispatch can do.
template <typename Visit>
Status for_each_rho_piece(Recording& record, const RhoTensor& values, int64_t n, const Visit& visit) {
  LOWBIT_TRY(record.check_count(n));
  const auto fits = [&](const Box<1>& box) {
    return record.fits(values.range(box.first[0], box.count[0])) &&
           box.count[0] * LOWBIT_RHO_BLOCK <= record.limits().work &&
           record.fits(ceil_div(box.count[0], kRhoGroupBlocks));
  };
  return for_each_piece(record, Box<1>{{0}, {ceil_div(n, LOWBIT_RHO_BLOCK)}}, fits,
                        [&](const Box<1>& box) { return visit(box.first[0], box.count[0]); });
}

}  // namespace lowbit::core::vulkan
