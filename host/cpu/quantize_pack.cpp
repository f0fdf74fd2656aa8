// quantize_pack, bound by memory: 5 bytes a value over the bandwidth of a copy, 1.25 operations a value and pass. Groups
// are read twice, for scale and codes, the second time from the cache if they fit there. A scale is made of
// segments of 4096 values, whether by sum (treesum's own) or by maximum, so threads take whole groups or, where groups
// are few and large, segments and pieces of rows. Magnitudes order like their bits, with infinity and NaN on top: one
// maximum of integers finds both the largest and bad data.
#include "cpu/kernels.h"
#include "cpu/machine.h"
#include "cpu/runs.h"
#include "cpu/treesum.h"

namespace lowbit::core::LOWBIT_ISA {
namespace {

constexpr int64_t kSegment = LOWBIT_TREESUM_SEGMENT;
constexpr int64_t kPiece = 4 * kSegment;  // values of a row that are coded at a time
constexpr int64_t kAhead = 1024;          // values, at least, that the next row comes ahead while this one is coded
constexpr int64_t kSoon = 8192;           // and at most: further ahead costs more than it saves
constexpr double kNanosecondsPerValue = 0.25;  // of one thread

// The largest magnitude, uint8's negatives counted as 0; NaN where a value is not finite.
template <bool kUnsigned>
float largest(const float* x, int64_t count) {
  Int counted{}, any{};
  const auto add = [&](Float value) {
    any = larger(magnitude_bits(value), any);
    if (kUnsigned) counted = larger(reinterpret_cast<Int>(value), counted);  // negative floats are negative integers
  };
  int64_t i = 0;
  for (; i + 4 * kWidth <= count; i += 4 * kWidth) {
    for (int k = 0; k < 4; ++k) add(load(x + i + k * kWidth));
  }
  for (; i + kWidth <= count; i += kWidth) add(load(x + i));
  if (i < count) add(load_some(x + i, count - i));
  const auto top = [](Int v) { return across(v, [](Int a, Int b) { return larger(a, b); })[0]; };
  if (top(any) >= static_cast<int32_t>(LOWBIT_INFINITY_BITS)) return kNan;
  return std::bit_cast<float>(top(kUnsigned ? counted : any));
}

// What the scale of a group comes from: its length, and its segments' sums or maxima.
struct Groups {
  const QuantizePack& op;
  int64_t n = row_length(op.input), values = op.groups.rows * n, segments = ceil_div(values, kSegment);
  bool side_by_side = op.groups.tokens == 1 && is_one_run(op.input);

  int64_t row_at(int64_t group, int64_t j) const { return op.groups.rows == 1 ? group : op.groups.row(group, j); }

  template <bool kUnsigned>
  float segment(int64_t group, int64_t s) const {
    float gathered[kSegment];
    const int64_t first = s * kSegment, count = values - first < kSegment ? values - first : kSegment;
    const auto row_of = [&](int64_t j) { return row<float>(op.input, row_at(group, j)); };
    const int64_t j = s == 0 ? 0 : first / n, at = first - j * n;
    const float* x = row_of(j) + at;
    if (at + count > n && !side_by_side) {
      for_runs(n, row_of, first, count, [&](const float* from, int64_t i, int64_t length) {
        std::memcpy(gathered + i, from, static_cast<size_t>(length) * sizeof(float));
      });
      x = gathered;
    }
    return op.rule == LOWBIT_ABSMAX ? largest<kUnsigned>(x, count) : segment_sum<kUnsigned>(x, count);
  }

  // `of` has what segment() gave for each of a group's segments; it is overwritten.
  float scale(float* of) const {
    const int top = qmax(op.format);
    if (op.rule == LOWBIT_ABSMAX)
      return settled(splat(largest<false>(of, segments) * static_cast<float>(1.0 / top)))[0];
    const double codes = static_cast<double>(top) * static_cast<double>(values);
    return settled(splat(sum_of_segments(of, segments) * static_cast<float>(2.0 / codes)))[0];
  }
};

template <bool kUnsigned>
struct Coder {
  Float inverse, bottom, top;
  Coder(float scale, int qmax)
      : inverse(splat(1.0f / scale)),
        bottom(splat(kUnsigned ? 0.0f : -static_cast<float>(qmax))),
        top(splat(static_cast<float>(qmax))) {}

  // The clamp comes first, so that every code has an integer; on whole bounds it commutes with rounding.
  Int codes(Float x) const {
    const Float scaled = x * inverse, low = scaled > bottom ? scaled : bottom;
    return rounded(low < top ? low : top);
  }
  Bytes bytes(const float* x) const {
    return low_bytes<!kUnsigned>(codes(load(x)), codes(load(x + kWidth)), codes(load(x + 2 * kWidth)),
                                 codes(load(x + 3 * kWidth)));
  }
  // Up to kWidth values; what the last word lacks is 0.
  void code_some(const float* x, int64_t count, uint32_t* out) const {
    const Bytes bytes = low_bytes<!kUnsigned>(codes(load_some(x, count)), Int{}, Int{}, Int{});
    std::memcpy(out, &bytes, static_cast<size_t>(ceil_div(count, LOWBIT_CODES_PER_WORD)) * sizeof(uint32_t));
  }

  template <bool kStream>
  void code(const float* x, int64_t count, uint32_t* out) const {
    const int64_t ahead = count > kAhead && count <= kSoon ? count : kAhead;
    int64_t i = 0;
    while (kStream && i + kWidth < count && !is_aligned(out + i / 4)) {
      code_some(x + i, 4, out + i / 4);
      i += 4;
    }
    for (; i + 4 * kWidth <= count; i += 4 * kWidth) {
      prefetch(x + i + ahead, 4 * kVectorBytes);
      store<kStream>(out + i / 4, bytes(x + i));
    }
    for (; i < count; i += kWidth) code_some(x + i, count - i < kWidth ? count - i : kWidth, out + i / 4);
  }
};

template <bool kUnsigned, bool kStream>
void code(const Groups& groups, float scale, int64_t at_row, int64_t at, int64_t count) {
  const QuantizePack& op = groups.op;
  uint32_t* out = row<uint32_t>(op.codes, at_row) + at / LOWBIT_CODES_PER_WORD;
  if (scale != scale) {
    std::memset(out, 0, static_cast<size_t>(ceil_div(count, LOWBIT_CODES_PER_WORD)) * sizeof(uint32_t));
  } else {
    Coder<kUnsigned>(scale, qmax(op.format)).template code<kStream>(row<float>(op.input, at_row) + at, count, out);
  }
}

// A group at a time for each thread.
template <bool kUnsigned, bool kStream>
Status quantize_groups(Stream& stream, const Groups& groups) {
  const QuantizePack& op = groups.op;
  const int parts = cpu::parts_for(stream, op.groups.count,
                                   kNanosecondsPerValue * static_cast<double>(op.groups.count * groups.values));
  Location sums;
  LOWBIT_TRY(stream.scratch(static_cast<size_t>(parts * groups.segments) * sizeof(float), &sums));
  cpu::for_parts(parts, op.groups.count, [&](int part, int64_t first, int64_t last) {
    float* const of = sums.as<float>() + part * groups.segments;
    for (int64_t g = first; g < last; ++g) {
      for (int64_t s = 0; s < groups.segments; ++s) of[s] = groups.segment<kUnsigned>(g, s);
      const float scale = row<float>(op.scales, 0)[g] = groups.scale(of);
      for (int64_t j = 0; j < op.groups.rows; ++j) {
        code<kUnsigned, kStream>(groups, scale, groups.row_at(g, j), 0, groups.n);
      }
    }
    fence<kStream>();
  });
  return {};
}

// All threads together at one group after the other.
template <bool kUnsigned, bool kStream>
Status quantize_together(Stream& stream, const Groups& groups, int parts) {
  const QuantizePack& op = groups.op;
  Location sums;
  LOWBIT_TRY(stream.scratch(static_cast<size_t>(groups.segments) * sizeof(float), &sums));
  float* const of = sums.as<float>();
  const int64_t pieces = ceil_div(groups.n, kPiece);
  for (int64_t g = 0; g < op.groups.count; ++g) {
    cpu::for_parts(parts, groups.segments, [&](int, int64_t first, int64_t last) {
      for (int64_t s = first; s < last; ++s) of[s] = groups.segment<kUnsigned>(g, s);
    });
    const float scale = row<float>(op.scales, 0)[g] = groups.scale(of);
    cpu::for_parts(parts, op.groups.rows * pieces, [&](int, int64_t first, int64_t last) {
      for (int64_t p = first; p < last; ++p) {
        const int64_t at = p % pieces * kPiece, rest = groups.n - at;
        code<kUnsigned, kStream>(groups, scale, groups.row_at(g, p / pieces), at, rest < kPiece ? rest : kPiece);
      }
      fence<kStream>();
    });
  }
  return {};
}

template <bool kUnsigned, bool kStream>
Status quantize(Stream& stream, const Groups& groups) {
  const int together =
      cpu::parts_for(stream, groups.segments, kNanosecondsPerValue * static_cast<double>(groups.values));
  if (groups.op.groups.count < 4 * together) return quantize_together<kUnsigned, kStream>(stream, groups, together);
  return quantize_groups<kUnsigned, kStream>(stream, groups);
}

}  // namespace

Status quantize_pack(Stream& stream, const QuantizePack& op) {
  const Groups groups{op};
  const bool is_unsigned = op.format == LOWBIT_UINT8;
  // Rows of a few lines would mix both kinds of stores in most of them.
  if (row_length(op.codes) >= 64 && op.groups.count * groups.values > stream.device().most_cached()) {
    return is_unsigned ? quantize<true, true>(stream, groups) : quantize<false, true>(stream, groups);
  }
  return is_unsigned ? quantize<true, false>(stream, groups) : quantize<false, false>(stream, groups);
}

}  // namespace lowbit::core::LOWBIT_ISA
