// Recording an operation: its passes, each a number of independent dispatches, one pass behind the other. All ranges
// that a dispatch binds start at `origin[i]` bytes behind what is bound, since bindings are aligned and tensors are
// not: every shader's push constants begin with `uint origin[bindings]`.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>

#include "vulkan_stream.h"

namespace lowbit::core::vulkan {

constexpr uint32_t kThreads = 128;  // of a workgroup: no device need have more

class Recording {
 public:
  // What was recorded before has run, and shows, before the operation begins.
  Recording(core::Stream& stream, const char* operation)
      : operation_(operation), stream_(static_cast<VulkanStream&>(stream)) {
    stream_.order();
  }

  const char* operation() const { return operation_; }
  VulkanStream& stream() { return stream_; }
  const Limits& limits() const { return stream_.vulkan_device().limits(); }

  // LOWBIT_UNSUPPORTED for more values than shaders count in 32 bits.
  Status check_count(int64_t values) const;

  // The dispatches from here on read what those before have written.
  void next_pass() { stream_.order(); }

  // Runs `groups` workgroups; Push is the shader's push constants behind `origin`, whole words. Groups are numbered by
  // workgroup_index() of shaders/dispatch.glsl, and there may be more of them than were asked for.
  template <typename Push>
  Status dispatch(const Shader& shader, const Constants& constants, std::initializer_list<Range> ranges,
                  const Push& push, int64_t groups) {
    static_assert(sizeof(Push) % sizeof(uint32_t) == 0 && std::is_trivially_copyable_v<Push>);
    static_assert(sizeof(Push) + VulkanDevice::kMostBindings * sizeof(uint32_t) <= VulkanDevice::kPushBytes);
    return dispatch(shader, constants, ranges, &push, sizeof(push), groups);
  }

  // Whether a binding reaches all of it.
  bool fits(const Range& range) const { return range.offset % limits().alignment + range.size <= limits().range; }
  bool fits(std::initializer_list<Range> ranges) const {
    return std::all_of(ranges.begin(), ranges.end(), [&](const Range& range) { return fits(range); });
  }
  // Whether one dispatch can have so many groups.
  bool fits(int64_t groups) const { return groups <= int64_t{limits().groups} * limits().groups; }

 private:
  Status dispatch(const Shader& shader, const Constants& constants, std::initializer_list<Range> ranges,
                  const void* push, size_t push_size, int64_t groups);

  const char* operation_;
  VulkanStream& stream_;
};

// A piece of an operation: along each axis the first index and how many.
template <size_t kAxes>
struct Box {
  int64_t first[kAxes] = {}, count[kAxes];
};

// Calls `visit` for pieces of `whole`, each as large as `fits` lets it be; a piece is halved along its first axis that
// is longer than 1. Pieces wait for each other, since what two of them bind may overlap, though what they write does
// not. LOWBIT_UNSUPPORTED if the smallest does not fit.
template <size_t kAxes, typename Fits, typename Visit>
Status for_each_piece(Recording& record, const Box<kAxes>& whole, const Fits& fits, const Visit& visit) {
  if (fits(whole)) {
    record.next_pass();
    return visit(whole);
  }
  for (size_t axis = 0; axis < kAxes; ++axis) {
    if (whole.count[axis] == 1) continue;
    Box<kAxes> first = whole, second = whole;
    first.count[axis] = whole.count[axis] / 2;
    second.first[axis] += first.count[axis];
    second.count[axis] -= first.count[axis];
    LOWBIT_TRY(for_each_piece(record, first, fits, visit));
    return for_each_piece(record, second, fits, visit);
  }
  return {
      LOWBIT_UNSUPPORTED,
      fmt::format("{}: rows that are needed at once lie further apart than the {} bytes that a binding of this device "
                  "reaches",
                  record.operation(), record.limits().range)};
}

}  // namespace lowbit::core::vulkan
