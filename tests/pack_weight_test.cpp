// pack_weight on every device against the oracle: bytes and scales bit for bit, and what it refuses.
#include <fmt/format.h>

#include <cmath>

#include "harness.h"
#include "oracle.h"

namespace lowbit::test {
namespace {

constexpr lowbit_format kFormats[] = {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY};
constexpr lowbit_rule kRules[] = {LOWBIT_ABSMAX, LOWBIT_ABSMEAN};
constexpr lowbit_group kGroups[] = {LOWBIT_PER_TENSOR, LOWBIT_PER_CHANNEL};

struct Case {
  lowbit_format format;
  lowbit_rule rule;
  lowbit_group group;
  std::vector<int64_t> shape;  // [..., K, N]
  Values values = Values::uniform;
  uint64_t seed = 1;
  Spacing input = {}, packed = {}, scales = {};

  int64_t K() const { return shape[shape.size() - 2]; }
  int64_t N() const { return shape.back(); }
  int64_t count() const {
    int64_t count = 1;
    for (int64_t extent : shape) count *= extent;
    return count;
  }
  int64_t groups() const { return group == LOWBIT_PER_TENSOR ? 1 : count() / K(); }
  std::string text() const {
    return fmt::format("pack_weight {} {} {} {} of {} (seed {})", name_of(format), name_of(rule), name_of(group),
                       text_of(shape), name_of(values), seed);
  }
  // The values of a group are made together and then put where they belong.
  std::vector<float> weights() const {
    const std::vector<float> made = make_values(values, groups(), count() / groups(), 127, seed);
    if (group == LOWBIT_PER_TENSOR) return made;
    std::vector<float> weights(made.size());
    for (int64_t i = 0; i < count(); ++i) {
      const int64_t matrix = i / (K() * N()), k = i / N() % K(), n = i % N();
      weights[i] = made[(matrix * N() + n) * K() + k];
    }
    return weights;
  }
};

struct Expected {
  bool refused = false;
  Words packed = {}, scales = {};
};

class PackWeightTest : public ParityTest {
 protected:
  void check(const Case& c) {
    const std::vector<float> weights = c.weights();
    const Expected& expected = remembered(c.text(), [&] {
      try {
        const oracle::Weight made =
            oracle::pack_weight(weights, c.shape, name_of(c.format), name_of(c.rule), name_of(c.group));
        return Expected{false, bits_of(made.packed), bits_of(made.scales)};
      } catch (const std::invalid_argument&) {
        return Expected{true};
      }
    });
    const auto bytes = static_cast<int64_t>(lowbit_packed_weight_size(c.format, static_cast<uint64_t>(c.count())));
    for (Place place : places) {
      const Operand input(rig, place, LOWBIT_TYPE_F32, c.shape, bits_of(weights), c.input);
      const Operand packed(rig, place, LOWBIT_TYPE_U8, {bytes}, c.packed);
      const Operand scales(rig, place, LOWBIT_TYPE_F32, {c.groups()}, c.scales);
      const lowbit_pack_weight_args args{sizeof(args),   c.format,        c.rule,         c.group,
                                         input.tensor(), packed.tensor(), scales.tensor()};
      const lowbit_status status = call([&] { return lowbit_pack_weight(rig.stream, &args); });
      if (!expected.refused) {
        ASSERT_EQ(status, LOWBIT_OK) << c.text() << ": " << lowbit_last_error();
        expect_same(c.text() + ", scales", scales.read(), expected.scales, Match::bits);
        expect_same(c.text() + ", packed", packed.read(), expected.packed, Match::bits);
        continue;
      }
      ASSERT_EQ(status, LOWBIT_INVALID_ARGUMENT) << c.text();
      const auto bad = std::find_if_not(weights.begin(), weights.end(), [](float w) { return std::isfinite(w); });
      const std::string says = bad != weights.end() ? fmt::format(" at index {},", bad - weights.begin()) : "overflows";
      EXPECT_NE(std::string(lowbit_last_error()).find(says), std::string::npos)
          << c.text() << ": " << lowbit_last_error();
      packed.expect_untouched();
      scales.expect_untouched();
    }
  }
  void check_all_ways(Case c) {
    for (lowbit_format format : kFormats) {
      for (lowbit_rule rule : kRules) {
        for (lowbit_group group : kGroups) {
          c.format = format, c.rule = rule, c.group = group;
          check(c);
        }
      }
    }
  }
};
LOWBIT_PARITY_SUITE(PackWeightTest);

TEST_P(PackWeightTest, Shapes) {
  for (int64_t K : kLengths) {
    for (int64_t N : {1, 3, 8}) check_all_ways({.shape = {K, N}, .seed = static_cast<uint64_t>(K)});
  }
  for (int64_t N : kLengths) check_all_ways({.shape = {2, 5, N}, .seed = static_cast<uint64_t>(N)});
  check_all_ways({.shape = {2, 3, 7, 11}});
}

TEST_P(PackWeightTest, HostileValues) {
  for (int kind = 0; kind < kValuesCount; ++kind) {
    for (int64_t K : {1, 2, 33, 129}) {
      check_all_ways({.shape = {2, K, 9}, .values = static_cast<Values>(kind), .seed = static_cast<uint64_t>(K)});
    }
  }
}

TEST_P(PackWeightTest, RowsApart) {
  for (int64_t N : {1, 2, 5, 8, 31}) {
    check_all_ways({.shape = {2, 19, N}, .input = {3, 5}, .packed = {0, 3}, .scales = {0, 2}});
  }
}

// Some kernels cut what is large or far apart into pieces, anywhere in a byte of codes.
TEST_P(PackWeightTest, ManyValues) {
  check_all_ways({.shape = {3, 7001}, .packed = {.offset = 1}});
  check_all_ways({.shape = {2, 3, 2053}, .values = Values::mixed, .input = {.padding = 3}, .packed = {.offset = 3}});
  check({LOWBIT_INT8, LOWBIT_ABSMEAN, LOWBIT_PER_CHANNEL, {4100, 19}, Values::heavy});
}

TEST_P(PackWeightTest, RowsFarApart) {
  check_all_ways({.shape = {2, 19, 5}, .values = Values::heavy, .input = {.padding = 9001}});
  check_all_ways({.shape = {3, 40, 3}, .values = Values::mixed, .input = {.padding = 9001}, .packed = {.offset = 3}});
}

TEST_P(PackWeightTest, NamesTheFirstChannelThatOverflows) {
  const std::vector<int64_t> shape = {2, 3, 2500};
  std::vector<float> weights(2 * 3 * 2500, 1.0f);
  for (int64_t column : {2450, 2400}) {
    for (int64_t k : {0, 2}) weights[(3 + k) * 2500 + column] = 3e38f;  // of the second matrix
  }
  for (lowbit_format format : kFormats) {
    const Operand input(rig, places[0], LOWBIT_TYPE_F32, shape, bits_of(weights));
    const auto bytes = static_cast<int64_t>(lowbit_packed_weight_size(format, weights.size()));
    const Operand packed(rig, places[0], LOWBIT_TYPE_U8, {bytes});
    const Operand scales(rig, places[0], LOWBIT_TYPE_F32, {5000});
    const lowbit_pack_weight_args args{sizeof(args),   format,          LOWBIT_ABSMEAN, LOWBIT_PER_CHANNEL,
                                       input.tensor(), packed.tensor(), scales.tensor()};
    EXPECT_EQ(call([&] { return lowbit_pack_weight(rig.stream, &args); }), LOWBIT_INVALID_ARGUMENT);
    EXPECT_NE(std::string(lowbit_last_error()).find("channel 4900 overflows"), std::string::npos)
        << lowbit_last_error();
    packed.expect_untouched();
    scales.expect_untouched();
  }
}

TEST_P(PackWeightTest, TreeSum) {
  for (int64_t K : {4095, 4096, 4097, 8193}) check_all_ways({.shape = {K, 3}, .values = Values::heavy});
  check_all_ways({.shape = {3, 500, 28}, .values = Values::heavy});
}

TEST_P(PackWeightTest, CallersFloatSettings) {
  for (unsigned setting : hostile_float_settings()) {
    float_setting = setting;
    for (int kind = 0; kind < kValuesCount; ++kind) {
      check_all_ways({.shape = {2, 17, 5}, .values = static_cast<Values>(kind)});
    }
  }
}

TEST_P(PackWeightTest, Buffers) {
  places = {Place::in_buffer};
  check_all_ways({.shape = {2, 17, 5}, .values = Values::mixed, .input = {2, 1}, .packed = {0, 1}});
}

TEST_P(PackWeightTest, Random) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Random random(seed);
    const std::vector<int64_t> shape = {random.between(1, 4), random.between(1, 90), random.between(1, 40)};
    check({random.pick(kFormats),
           random.pick(kRules),
           random.pick(kGroups),
           shape,
           static_cast<Values>(random.between(0, kValuesCount - 1)),
           seed,
           {random.chance(0.5) ? 0 : random.between(1, 9), random.between(0, 5)},
           {0, random.between(0, 5)}});
  }
}

}  // namespace
}  // namespace lowbit::test
