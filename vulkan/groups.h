// Groups of values in a tensor, and their scales: what quantize_pack and pack_weight share.
#pragma once

#include "codes.h"
#include "kernels.h"
#include "recording.h"

namespace lowbit::core::vulkan {

// Where groups lie, in elements of one kind: group (o, i) of outer x inner starts at o * outer_step + i * inner_step,
// and its rows are `pitch` apart.
struct Places {
  int64_t outer_step, inner_step, pitch;

  int64_t first(int64_t o, int64_t i) const { return o * outer_step + i * inner_step; }
  // From the first element of so many groups to behind their last.
  int64_t span(int64_t outer, int64_t inner, int64_t rows, int64_t n) const {
    return first(outer - 1, inner - 1) + (rows - 1) * pitch + n;
  }
};

// The same in push constants. A step that a dispatch does not take may have lost its upper bits.
struct PlacesPush {
  explicit PlacesPush(const Places& places)
      : outer_step(static_cast<uint32_t>(places.outer_step)),
        inner_step(static_cast<uint32_t>(places.inner_step)),
        pitch(static_cast<uint32_t>(places.pitch)) {}
  uint32_t outer_step, inner_step, pitch;
};

struct Groups {
  Location data;  // f32
  Places places;
  int64_t outer, inner;
  int64_t rows, n;  // of a group: `rows` rows of n values

  int64_t count() const { return outer * inner; }
  int64_t size() const { return rows * n; }
};

// How the values of a group become its scale: by their largest magnitude, or by treesum.
struct Scaling {
  bool is_mean, is_unsigned;
  float factor;  // of the maximum, or of the sum
};
Scaling scaling_of_codes(lowbit_format format, lowbit_rule rule, int64_t n);
// Ternary and binary: the mean of the magnitudes.
Scaling scaling_of_signs(int64_t n);

// What is at most 2^32 is a word of push constants.
constexpr uint32_t word(int64_t value) { return static_cast<uint32_t>(value); }

// Elements of a word each, counted from `data`.
inline Range words_of(const Location& data, int64_t first, int64_t count) {
  return {buffer_of(data.data), data.offset + static_cast<uint64_t>(first) * 4, static_cast<uint64_t>(count) * 4};
}
inline Location location_of(const Tensor& tensor) { return {tensor.data, tensor.offset}; }

// Whether a dispatch may take so many values, and may run so many invocations, `of_group` of them in a workgroup.
bool fits_dispatch(const Recording& record, int64_t values, int64_t invocations, int64_t of_group = kThreads);

// Invocations that work on a segment together (shaders/treesum.glsl).
uint32_t team_of(int64_t group_size);

// The scales of all groups, in the order of their numbers. Overwrites no other memory than scratch.
template <Arithmetic>
Status group_scales(Recording& record, const Groups& groups, const Scaling& scaling, const Location& scales);

}  // namespace lowbit::core::vulkan
