// The definition of treesum is its own plan: a team of invocations reduces a segment of 4096 values to one, and the
// same kernel then runs over the segments' results until one is left for each group. The maximum goes the same way.
#include "groups.h"

#include <algorithm>
#include <bit>

#include "shaders/reduce_float.h"
#include "shaders/reduce_integer.h"

namespace lowbit::core::vulkan {
namespace {

constexpr int64_t kSegment = LOWBIT_TREESUM_SEGMENT;

template <Arithmetic kArithmetic>
Shader reduce_shader() {
  return LOWBIT_FLOAT_SHADER(reduce, kArithmetic);
}

struct ReducePush {
  PlacesPush places;
  uint32_t inner, segments, total, n, column, left, factor, is_unsigned;
};

// Segments first, ..., first + count - 1 of a group: rows that begin and end with a value of theirs.
struct Segments {
  int64_t row, column;  // of the first value
  int64_t rows, last;   // and of the last, counted from there
  int64_t left;         // values of the group from the first on
  int64_t values;

  Segments(const Groups& groups, int64_t first, int64_t count) {
    const int64_t start = first * kSegment, end = std::min(groups.size(), (first + count) * kSegment) - 1;
    row = start / groups.n, column = start % groups.n;
    rows = end / groups.n - row + 1, last = end % groups.n - column;
    left = groups.size() - start, values = end - start + 1;
  }
};

// One step: a result a segment, or a scale a group where it has but one.
template <Arithmetic kArithmetic>
Status reduce(Recording& record, const Groups& groups, const Scaling& scaling, const Location& results) {
  const int64_t segments = ceil_div(groups.size(), kSegment);
  const uint32_t team = team_of(groups.size());
  const uint32_t factor = segments == 1 ? std::bit_cast<uint32_t>(scaling.factor) : 0;
  const auto input = [&](const Box<3>& box) {
    const Segments s(groups, box.first[2], box.count[2]);
    return words_of(groups.data,
                    groups.places.first(box.first[0], box.first[1]) + s.row * groups.places.pitch + s.column,
                    groups.places.span(box.count[0], box.count[1], s.rows, s.last + 1));
  };
  const auto output = [&](const Box<3>& box) {
    return words_of(results, (box.first[0] * groups.inner + box.first[1]) * segments + box.first[2],
                    box.count[0] * box.count[1] * box.count[2]);
  };
  const auto fits = [&](const Box<3>& box) {
    const int64_t count = box.count[0] * box.count[1];
    return record.fits({input(box), output(box)}) &&
           fits_dispatch(record, count * Segments(groups, box.first[2], box.count[2]).values,
                         count * box.count[2] * team);
  };
  const Box<3> whole{.count = {groups.outer, groups.inner, segments}};
  return for_each_piece(record, whole, fits, [&](const Box<3>& box) {
    const Segments s(groups, box.first[2], box.count[2]);
    const int64_t total = box.count[0] * box.count[1] * box.count[2];
    const ReducePush push{PlacesPush(groups.places),
                          word(box.count[1]),
                          word(box.count[2]),
                          word(total),
                          word(groups.n),
                          word(s.column),
                          word(s.left),
                          factor,
                          scaling.is_unsigned};
    return record.dispatch(reduce_shader<kArithmetic>(), {kThreads, team, scaling.is_mean}, {input(box), output(box)},
                           push, ceil_div(total, kThreads / team));
  });
}

// ---- Groups whose rows lie too far apart for a binding --------------------------------------------------------------

// Words from the first value of a segment to its last, at most.
int64_t segment_span(int64_t pitch, int64_t n, int64_t rows) {
  const int64_t most_rows = std::min(rows, (kSegment - 2) / n + 2);
  return std::min(kSegment, rows * n) + (most_rows - 1) * (pitch - n);
}

bool reaches_segment(const Recording& record, int64_t pitch, int64_t n, int64_t rows) {
  return segment_span(pitch, n, rows) * static_cast<int64_t>(sizeof(float)) <= record.limits().reach();
}

// Copies `rows` runs of `width` words, `pitch` apart, to where they are `width` apart.
Status copy_rows(Recording& record, const Range& from, int64_t pitch, int64_t rows, int64_t width, const Range& to) {
  constexpr int64_t kMostRegions = 4096;
  std::vector<VkBufferCopy> regions;
  for (int64_t row = 0; row < rows; row += kMostRegions) {
    regions.clear();
    for (int64_t i = row; i < std::min(row + kMostRegions, rows); ++i) {
      regions.push_back({from.offset + static_cast<uint64_t>(i * pitch) * sizeof(float),
                         to.offset + static_cast<uint64_t>(i * width) * sizeof(float),
                         static_cast<uint64_t>(width) * sizeof(float)});
    }
    VkCommandBuffer commands = VK_NULL_HANDLE;
    LOWBIT_TRY(record.stream().commands(&commands));
    record.stream().vulkan_device().vk.vkCmdCopyBuffer(commands, from.buffer, to.buffer,
                                                       static_cast<uint32_t>(regions.size()), regions.data());
  }
  return {};
}

// Moves their rows together in scratch, those of as many neighbouring groups at a time as a binding then reaches.
template <Arithmetic kArithmetic>
Status far_group_scales(Recording& record, const Groups& groups, const Scaling& scaling, const Location& scales) {
  const auto width = [&](const Box<2>& box) { return (box.count[1] - 1) * groups.places.inner_step + groups.n; };
  const auto fits = [&](const Box<2>& box) {
    return box.count[0] == 1 && reaches_segment(record, width(box), groups.n, groups.rows);
  };
  const Box<2> whole{.count = {groups.outer, groups.inner}};
  int64_t most = 0;  // words of a piece
  LOWBIT_TRY(for_each_piece(record, whole, fits, [&](const Box<2>& box) -> Status {
    most = std::max(most, groups.rows * width(box));
    return {};
  }));
  Location scratch;
  LOWBIT_TRY(record.stream().scratch(static_cast<size_t>(most) * sizeof(float), &scratch));
  return for_each_piece(record, whole, fits, [&](const Box<2>& box) -> Status {
    const int64_t size = groups.rows * width(box);
    const Groups near{.data = scratch,
                      .places = {0, groups.places.inner_step, width(box)},
                      .outer = 1,
                      .inner = box.count[1],
                      .rows = groups.rows,
                      .n = groups.n};
    const int64_t first = groups.places.first(box.first[0], box.first[1]);
    LOWBIT_TRY(copy_rows(record, words_of(groups.data, first, 0), groups.places.pitch, groups.rows, width(box),
                         words_of(near.data, 0, size)));
    const int64_t group = box.first[0] * groups.inner + box.first[1];
    return group_scales<kArithmetic>(record, near, scaling,
                                     {scales.data, scales.offset + static_cast<uint64_t>(group) * sizeof(float)});
  });
}

}  // namespace

Scaling scaling_of_codes(lowbit_format format, lowbit_rule rule, int64_t n) {
  const bool is_mean = rule == LOWBIT_ABSMEAN;
  const double top = qmax(format);
  const double factor = is_mean ? 2.0 / (top * static_cast<double>(n)) : 1.0 / top;
  return {is_mean, format == LOWBIT_UINT8, static_cast<float>(factor)};
}

Scaling scaling_of_signs(int64_t n) { return {true, false, static_cast<float>(1.0 / static_cast<double>(n))}; }

bool fits_dispatch(const Recording& record, int64_t values, int64_t invocations, int64_t of_group) {
  constexpr int64_t kLeast = kSegment;         // goes in any case: a segment is never cut
  constexpr int64_t kMost = int64_t{1} << 30;  // numbers of values and invocations stay in 32 bits
  return std::max(values, invocations) <= std::clamp(record.limits().work, kLeast, kMost) &&
         record.fits(ceil_div(invocations, of_group));
}

uint32_t team_of(int64_t group_size) { return group_size <= 16 ? 8 : group_size <= 64 ? 32 : kThreads; }

template <Arithmetic kArithmetic>
Status group_scales(Recording& record, const Groups& all, const Scaling& scaling, const Location& scales) {
  if (!reaches_segment(record, all.places.pitch, all.n, all.rows)) {
    return far_group_scales<kArithmetic>(record, all, scaling, scales);
  }
  for (Groups groups = all;;) {
    const int64_t segments = ceil_div(groups.size(), kSegment);
    if (segments == 1) return reduce<kArithmetic>(record, groups, scaling, scales);
    Location results;
    LOWBIT_TRY(record.stream().scratch(static_cast<size_t>(groups.count() * segments) * sizeof(float), &results));
    LOWBIT_TRY(reduce<kArithmetic>(record, groups, scaling, results));
    groups = {.data = results,
              .places = {.outer_step = groups.inner * segments, .inner_step = segments, .pitch = segments},
              .outer = groups.outer,
              .inner = groups.inner,
              .rows = 1,
              .n = segments};
  }
}

template Status group_scales<Arithmetic::float32>(Recording&, const Groups&, const Scaling&, const Location&);
template Status group_scales<Arithmetic::integer>(Recording&, const Groups&, const Scaling&, const Location&);

}  // namespace lowbit::core::vulkan
