// quantize_pack on every device against the oracle: codes and scales bit for bit.
#include <fmt/format.h>

#include "harness.h"
#include "oracle.h"

namespace lowbit::test {
namespace {

constexpr lowbit_format kFormats[] = {LOWBIT_INT8, LOWBIT_INT4, LOWBIT_UINT8};
constexpr lowbit_rule kRules[] = {LOWBIT_ABSMAX, LOWBIT_ABSMEAN};
constexpr lowbit_group kGroups[] = {LOWBIT_PER_TENSOR, LOWBIT_PER_TOKEN, LOWBIT_PER_TOKEN_ALL_HEADS};

struct Case {
  lowbit_format format;
  lowbit_rule rule;
  lowbit_group group;
  std::vector<int64_t> shape;
  Values values = Values::uniform;
  uint64_t seed = 1;
  Spacing input = {}, codes = {}, scales = {};

  int64_t length() const { return shape.back(); }
  int64_t rows() const {
    int64_t rows = 1;
    for (size_t axis = 0; axis + 1 < shape.size(); ++axis) rows *= shape[axis];
    return rows;
  }
  int64_t groups() const {
    if (group == LOWBIT_PER_TENSOR) return 1;
    return group == LOWBIT_PER_TOKEN ? rows() : shape[0] * shape[2];
  }
  std::string text() const {
    return fmt::format("quantize_pack {} {} {} {} of {} (seed {})", name_of(format), name_of(rule), name_of(group),
                       text_of(shape), name_of(values), seed);
  }
};

struct Expected {
  Words codes, scales;
};

class QuantizePackTest : public ParityTest {
 protected:
  void check(const Case& c) {
    const std::vector<float> values = make_values(c.values, c.rows(), c.length(), qmax_of(c.format), c.seed);
    const Expected& expected = remembered(c.text(), [&] {
      const oracle::Codes made =
          oracle::quantize(values, c.shape, name_of(c.format), name_of(c.rule), name_of(c.group));
      return Expected{oracle::pack_words(made.codes, c.length()), bits_of(made.scales)};
    });
    std::vector<int64_t> words = c.shape;
    words.back() = ceil_div(c.length(), 4);
    for (Place place : places) {
      const Operand input(rig, place, LOWBIT_TYPE_F32, c.shape, bits_of(values), c.input);
      const Operand codes(rig, place, LOWBIT_TYPE_I32, words, c.codes);
      const Operand scales(rig, place, LOWBIT_TYPE_F32, {c.groups()}, c.scales);
      const lowbit_quantize_pack_args args{sizeof(args),   c.format,       c.rule,         c.group,
                                           input.tensor(), codes.tensor(), scales.tensor()};
      ASSERT_EQ(call([&] { return lowbit_quantize_pack(rig.stream, &args); }), LOWBIT_OK) << lowbit_last_error();
      expect_same(c.text() + ", scales", scales.read(), expected.scales, Match::bits);
      expect_same(c.text() + ", codes", codes.read(), expected.codes, Match::bits);
    }
  }
  // Every format, rule and group, of the shape, values and spacing of `c`.
  void check_all_ways(Case c) {
    for (lowbit_format format : kFormats) {
      for (lowbit_rule rule : kRules) {
        for (lowbit_group group : kGroups) {
          if (group == LOWBIT_PER_TOKEN_ALL_HEADS && c.shape.size() != 4) continue;
          c.format = format, c.rule = rule, c.group = group;
          check(c);
        }
      }
    }
  }
};
LOWBIT_PARITY_SUITE(QuantizePackTest);

TEST_P(QuantizePackTest, Lengths) {
  for (int64_t n : kLengths) check_all_ways({.shape = {2, 3, 2, n}, .seed = static_cast<uint64_t>(n)});
}

TEST_P(QuantizePackTest, Rows) {
  for (int64_t rows : kRows) check_all_ways({.shape = {rows, 37}});
  for (int64_t heads = 1; heads <= 5; ++heads) check_all_ways({.shape = {2, heads, 3, 19}});
}

TEST_P(QuantizePackTest, Ranks) {
  check_all_ways({.shape = {131}});
  check_all_ways({.shape = {1}});
  check_all_ways({.shape = {3, 45}});
  check_all_ways({.shape = {2, 3, 33}});
}

TEST_P(QuantizePackTest, HostileValues) {
  for (int kind = 0; kind < kValuesCount; ++kind) {
    for (int64_t n : {1, 2, 31, 64, 257}) {
      check_all_ways({.shape = {2, 2, 3, n}, .values = static_cast<Values>(kind), .seed = static_cast<uint64_t>(n)});
    }
  }
}

TEST_P(QuantizePackTest, RowsApart) {
  for (int64_t n : kLengths) {
    check_all_ways({.shape = {2, 2, 3, n},
                    .input = {.padding = 3, .offset = 5},
                    .codes = {.padding = 2, .offset = 7},
                    .scales = {.offset = 3}});
  }
}

// Some kernels cut what is large or far apart into pieces.
TEST_P(QuantizePackTest, ManyRows) {
  check_all_ways({.shape = {2, 3, 1500, 5}, .values = Values::mixed});
  check_all_ways({.shape = {3, 40003}, .values = Values::heavy, .input = {.padding = 1}, .codes = {.padding = 1}});
}

// So much that threads share it: many groups, and few large ones.
TEST_P(QuantizePackTest, ManyValues) {
  places = {places[0]};
  for (lowbit_rule rule : kRules) {
    check({LOWBIT_INT8, rule, LOWBIT_PER_TOKEN, {1601, 131}, Values::mixed});
    check({LOWBIT_UINT8, rule, LOWBIT_PER_TOKEN_ALL_HEADS, {1, 3, 509, 137}, Values::mixed, 2, {.padding = 1}});
    check({LOWBIT_INT4, rule, LOWBIT_PER_TENSOR, {3, 70001}, Values::heavy, 3, {.offset = 1}, {.padding = 3}});
    check({LOWBIT_UINT8, rule, LOWBIT_PER_TENSOR, {1601, 131}, Values::minus_infinity, 4});
  }
}

TEST_P(QuantizePackTest, RowsFarApart) {
  check_all_ways({.shape = {2, 9, 3, 31}, .input = {.padding = 5000, .offset = 3}, .codes = {.padding = 5003}});
  check_all_ways({.shape = {2, 110, 2, 41}, .values = Values::heavy, .input = {.padding = 8000, .offset = 1}});
  check_all_ways({.shape = {1, 3, 2, 5}, .values = Values::mixed, .input = {.padding = 70000}});
}

// Sizes around whole segments of the tree sum, in one row and in many, so that segments begin inside rows too.
TEST_P(QuantizePackTest, TreeSum) {
  for (int64_t n : {255, 256, 257, 4095, 4096, 4097, 4353, 8191, 8192, 8193, 12289, 40961}) {
    for (lowbit_format format : kFormats) {
      check({format, LOWBIT_ABSMEAN, LOWBIT_PER_TENSOR, {n}, Values::heavy});
      check({format, LOWBIT_ABSMEAN, LOWBIT_PER_TOKEN, {2, n}, Values::heavy});
      const int64_t rows = n / 127 + 1;
      check({format, LOWBIT_ABSMEAN, LOWBIT_PER_TENSOR, {rows, 127}, Values::heavy, 2, {.padding = 9, .offset = 1}});
      check({format, LOWBIT_ABSMEAN, LOWBIT_PER_TOKEN_ALL_HEADS, {1, rows, 2, 127}, Values::mixed, 3, {.padding = 1}});
    }
  }
}

// Rows that start and end on 16 bytes, in groups of every size: some kernels then keep a group in registers.
TEST_P(QuantizePackTest, RowsOnSixteenBytes) {
  places = {places[0]};
  for (int64_t n : {4, 28, 32, 36, 68, 252, 256, 260, 1020, 1024, 1028, 4092, 4096, 4100, 8196, 16384, 32768, 32772}) {
    for (lowbit_rule rule : kRules) {
      const auto format = kFormats[n / 4 % 3];
      const auto seed = static_cast<uint64_t>(n);
      check({format, rule, LOWBIT_PER_TENSOR, {n}, Values::heavy, seed});
      check({format, rule, LOWBIT_PER_TOKEN, {5, n}, Values::mixed, seed, {.padding = 4, .offset = 4}});
      if (n > 1100) continue;
      check({format, rule, LOWBIT_PER_TENSOR, {7, n}, Values::heavy, seed, {.padding = 8}});
      check({format, rule, LOWBIT_PER_TOKEN_ALL_HEADS, {2, 7, 1, n}, Values::mixed, seed});
      check({format,
             rule,
             LOWBIT_PER_TOKEN_ALL_HEADS,
             {2, 7, 3, n},
             Values::heavy,
             seed,
             {.padding = 4},
             {.padding = 1}});
    }
  }
}

// Means of so many values that qmax * n is no f32: the constant has to be worked out in float64.
TEST_P(QuantizePackTest, LongMeans) {
  places = {places[0]};
  for (int64_t n : {132105, 132179, 132253, 132327}) check({LOWBIT_INT8, LOWBIT_ABSMEAN, LOWBIT_PER_TENSOR, {n}});
  for (int64_t n : {65831, 65905, 65979, 66053}) check({LOWBIT_UINT8, LOWBIT_ABSMEAN, LOWBIT_PER_TENSOR, {n}});
}

// More values than 4096 segments hold, so that the tree sum has three levels; and, where all but one of them are zero,
// so many that x / s is past 2^31 before it is clipped. It takes too long unless optimised.
#if defined(__OPTIMIZE__) && !LOWBIT_SANITIZED
TEST_P(QuantizePackTest, TreeSumOfThreeLevels) {
  places = {places[0]};
  check({LOWBIT_INT8, LOWBIT_ABSMEAN, LOWBIT_PER_TENSOR, {4097, 4099}, Values::heavy, 4, {.padding = 5}});
  check({LOWBIT_UINT8, LOWBIT_ABSMEAN, LOWBIT_PER_TENSOR, {4111, 4099}, Values::lone, 1});
}
#endif

// A scale past 2^126 has a subnormal inverse.
TEST_P(QuantizePackTest, SubnormalInverse) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    check({LOWBIT_INT4, LOWBIT_ABSMEAN, LOWBIT_PER_TOKEN, {40, 1}, Values::huge, seed});
  }
}

TEST_P(QuantizePackTest, CallersFloatSettings) {
  for (unsigned setting : hostile_float_settings()) {
    float_setting = setting;
    for (int kind = 0; kind < kValuesCount; ++kind) {
      check_all_ways({.shape = {1, 2, 3, 37}, .values = static_cast<Values>(kind)});
    }
    check({LOWBIT_INT4, LOWBIT_ABSMEAN, LOWBIT_PER_TOKEN, {40, 1}, Values::huge});
  }
}

TEST_P(QuantizePackTest, Buffers) {
  places = {Place::in_buffer};
  check_all_ways({.shape = {2, 3, 5, 67}, .values = Values::mixed, .input = {2, 1}, .codes = {1, 3}});
}

TEST_P(QuantizePackTest, Random) {
  for (uint64_t seed = 0; seed < 400; ++seed) {
    Random random(seed);
    const auto spacing = [&] { return Spacing{random.chance(0.5) ? 0 : random.between(1, 9), random.between(0, 5)}; };
    std::vector<int64_t> shape = {random.between(1, 3), random.between(1, 5), random.between(1, 6),
                                  random.chance(0.9) ? random.between(1, 150) : random.between(150, 5000)};
    const lowbit_group group = random.pick(kGroups);
    if (group != LOWBIT_PER_TOKEN_ALL_HEADS) shape.erase(shape.begin(), shape.begin() + random.between(0, 3));
    check({random.pick(kFormats),
           random.pick(kRules),
           group,
           shape,
           static_cast<Values>(random.between(0, kValuesCount - 1)),
           seed,
           spacing(),
           spacing(),
           {0, 2}});
  }
}

}  // namespace
}  // namespace lowbit::test
