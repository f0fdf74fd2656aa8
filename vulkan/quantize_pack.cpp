// Groups of one segment get scale and codes in one dispatch, as many as a binding reaches. Of larger ones, and of those
// whose rows lie too far apart for that, the scales come first (groups.h) and then the rows, in any pieces.
#include <bit>

#include "groups.h"
#include "shaders/quantize_pack_float.h"
#include "shaders/quantize_pack_integer.h"
#include "shaders/quantize_pack_rows_float.h"
#include "shaders/quantize_pack_rows_integer.h"

namespace lowbit::core::vulkan {
namespace {

constexpr int64_t kWord = LOWBIT_CODES_PER_WORD;

struct Quantizing {
  Groups groups;
  Location codes, scales;
  Places code_places;
  int64_t in_stride, codes_stride;  // of rows in memory order
  Scaling scaling;
  uint32_t qmax;

  int64_t tokens() const { return groups.inner; }
  int64_t rows() const { return groups.count() * groups.rows; }
  int64_t words() const { return ceil_div(groups.n, kWord); }
};

struct Ranges {
  Range input, codes, scales;

  bool fit(const Recording& record) const { return record.fits({input, codes, scales}); }
};

Quantizing quantizing_of(const QuantizePack& op) {
  int64_t n = row_length(op.input), in_stride = op.input.row_stride, codes_stride = op.codes.row_stride;
  RowGroups g = op.groups;
  // A group without gaps is one long row.
  if (g.tokens == 1 && in_stride == n && codes_stride * kWord == n) {
    n = in_stride = n * g.rows;
    codes_stride = n / kWord;
    g = {.count = g.count, .rows = 1, .tokens = g.count};
  }
  const auto places = [&](int64_t stride) { return Places{g.rows * g.tokens * stride, stride, g.tokens * stride}; };
  return {.groups = {.data = location_of(op.input),
                     .places = places(in_stride),
                     .outer = g.count / g.tokens,
                     .inner = g.tokens,
                     .rows = g.rows,
                     .n = n},
          .codes = location_of(op.codes),
          .scales = location_of(op.scales),
          .code_places = places(codes_stride),
          .in_stride = in_stride,
          .codes_stride = codes_stride,
          .scaling = scaling_of_codes(op.format, op.rule, g.rows * n),
          .qmax = word(qmax(op.format))};
}

// ---- Groups of one segment: scale and codes at once -----------------------------------------------------------------

struct GroupsPush {
  PlacesPush from, to;
  uint32_t inner, groups, rows, n, factor, qmax, is_unsigned;
};

// Boxes are of groups, outer by inner.
Ranges ranges_of(const Quantizing& p, const Box<2>& box) {
  const Groups& g = p.groups;
  const int64_t o = box.first[0], i = box.first[1], outer = box.count[0], inner = box.count[1];
  return {.input = words_of(g.data, g.places.first(o, i), g.places.span(outer, inner, g.rows, g.n)),
          .codes = words_of(p.codes, p.code_places.first(o, i), p.code_places.span(outer, inner, g.rows, p.words())),
          .scales = words_of(p.scales, o * g.inner + i, outer * inner)};
}

bool groups_fit(const Recording& record, const Quantizing& p, const Box<2>& box) {
  const int64_t count = box.count[0] * box.count[1], size = p.groups.size();
  return size <= LOWBIT_TREESUM_SEGMENT && ranges_of(p, box).fit(record) &&
         fits_dispatch(record, count * size, count * team_of(size));
}

template <Arithmetic kArithmetic>
Status quantize_groups(Recording& record, const Quantizing& p) {
  const Shader shader = LOWBIT_FLOAT_SHADER(quantize_pack, kArithmetic);
  const Groups& g = p.groups;
  const uint32_t team = team_of(g.size());
  const auto fits = [&](const Box<2>& box) { return groups_fit(record, p, box); };
  return for_each_piece(record, Box<2>{.count = {g.outer, g.inner}}, fits, [&](const Box<2>& box) {
    const int64_t count = box.count[0] * box.count[1];
    const GroupsPush push{PlacesPush(g.places),
                          PlacesPush(p.code_places),
                          word(box.count[1]),
                          word(count),
                          word(g.rows),
                          word(g.n),
                          std::bit_cast<uint32_t>(p.scaling.factor),
                          p.qmax,
                          p.scaling.is_unsigned};
    const Ranges r = ranges_of(p, box);
    return record.dispatch(shader, {kThreads, team, p.scaling.is_mean}, {r.input, r.codes, r.scales}, push,
                           ceil_div(count, kThreads / team));
  });
}

// ---- Rows of any length and place, their scales known ---------------------------------------------------------------

constexpr int64_t kRowTurns = 4;  // kTurns of shaders/quantize_pack_rows.comp

struct RowsPush {
  uint32_t n, words, total, input_stride, codes_stride, row, group, rows, tokens, qmax, is_unsigned;
};

template <Arithmetic kArithmetic>
Status quantize_rows(Recording& record, const Quantizing& p) {
  const Shader shader = LOWBIT_FLOAT_SHADER(quantize_pack_rows, kArithmetic);
  const int64_t T = p.tokens(), block = p.groups.rows * T;  // rows that have the same groups
  // Groups are neighbours within a run of T rows; rows that reach beyond have all groups of their blocks.
  const auto groups_of = [&](int64_t row, int64_t rows) {
    const int64_t last = row + rows - 1;
    struct {
      int64_t first, count;
    } groups{row / block * T, (last / block - row / block + 1) * T};
    if (row / T == last / T) groups = {groups.first + row % T, rows};
    return groups;
  };
  const auto values = [&](const Box<2>& box) {
    return std::min(box.count[1] * kWord, p.groups.n - box.first[1] * kWord);
  };
  const auto ranges = [&](const Box<2>& box) {
    const auto groups = groups_of(box.first[0], box.count[0]);
    return Ranges{.input = words_of(p.groups.data, box.first[0] * p.in_stride + box.first[1] * kWord,
                                    (box.count[0] - 1) * p.in_stride + values(box)),
                  .codes = words_of(p.codes, box.first[0] * p.codes_stride + box.first[1],
                                    (box.count[0] - 1) * p.codes_stride + box.count[1]),
                  .scales = words_of(p.scales, groups.first, groups.count)};
  };
  const auto fits = [&](const Box<2>& box) {
    return ranges(box).fit(record) &&
           fits_dispatch(record, box.count[0] * values(box), box.count[0] * box.count[1], kThreads * kRowTurns);
  };
  return for_each_piece(record, Box<2>{.count = {p.rows(), p.words()}}, fits, [&](const Box<2>& box) {
    const int64_t total = box.count[0] * box.count[1];
    const RowsPush push{word(values(box)),
                        word(box.count[1]),
                        word(total),
                        word(p.in_stride),
                        word(p.codes_stride),
                        word(box.first[0]),
                        word(groups_of(box.first[0], box.count[0]).first),
                        word(p.groups.rows),
                        word(T),
                        p.qmax,
                        p.scaling.is_unsigned};
    const Ranges r = ranges(box);
    return record.dispatch(shader, {kThreads}, {r.input, r.scales, r.codes}, push,
                           ceil_div(total, kThreads * kRowTurns));
  });
}

}  // namespace

template <Arithmetic kArithmetic>
Status quantize_pack(Stream& stream, const QuantizePack& op) {
  const Quantizing p = quantizing_of(op);
  const Groups& g = p.groups;
  Recording record(stream, "quantize_pack");
  LOWBIT_TRY(record.check_count(g.count() * g.size()));
  if (groups_fit(record, p, {.count = {1, 1}})) return quantize_groups<kArithmetic>(record, p);
  LOWBIT_TRY(group_scales<kArithmetic>(record, g, p.scaling, p.scales));
  return quantize_rows<kArithmetic>(record, p);
}

template Status quantize_pack<Arithmetic::float32>(Stream&, const QuantizePack&);
template Status quantize_pack<Arithmetic::integer>(Stream&, const QuantizePack&);

}  // namespace lowbit::core::vulkan
