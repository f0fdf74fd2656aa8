// rho_compress on every device against the oracle: bytes and scales bit for bit.
#include <fmt/format.h>

#include "harness.h"
#include "oracle.h"

namespace lowbit::test {
namespace {

constexpr lowbit_format kEncodings[] = {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY};
constexpr int64_t kBlock = 32;

struct Case {
  lowbit_format encoding;
  std::vector<int64_t> shape;
  Values values = Values::uniform;
  uint64_t seed = 1;
  Spacing input = {}, packed = {}, scales = {};

  int64_t count() const {
    int64_t count = 1;
    for (int64_t extent : shape) count *= extent;
    return count;
  }
  std::string text() const {
    return fmt::format("rho_compress {} {} of {} (seed {})", name_of(encoding), text_of(shape), name_of(values), seed);
  }
};

class RhoCompressTest : public ParityTest {
 protected:
  void check(const Case& c) {
    const int64_t blocks = ceil_div(c.count(), kBlock);
    std::vector<float> values = make_values(c.values, blocks, kBlock, 127, c.seed);
    values.resize(static_cast<size_t>(c.count()));
    const oracle::Blocks& expected =
        remembered(c.text(), [&] { return oracle::rho_compress(values, name_of(c.encoding)); });
    const auto bytes = static_cast<int64_t>(lowbit_rho_packed_size(c.encoding, static_cast<uint64_t>(c.count())));
    ASSERT_EQ(static_cast<int64_t>(lowbit_rho_block_count(static_cast<uint64_t>(c.count()))), blocks);
    for (Place place : places) {
      const Operand input(rig, place, LOWBIT_TYPE_F32, c.shape, bits_of(values), c.input);
      const Operand packed(rig, place, LOWBIT_TYPE_U8, {bytes}, c.packed);
      const Operand scales(rig, place, LOWBIT_TYPE_F32, {blocks}, c.scales);
      const lowbit_rho_compress_args args{sizeof(args), c.encoding, input.tensor(), packed.tensor(), scales.tensor()};
      ASSERT_EQ(call([&] { return lowbit_rho_compress(rig.stream, &args); }), LOWBIT_OK) << lowbit_last_error();
      expect_same(c.text() + ", scales", scales.read(), bits_of(expected.scales), Match::bits);
      expect_same(c.text() + ", packed", packed.read(), bits_of(expected.packed), Match::bits);
    }
  }
  void check_all_ways(Case c) {
    for (lowbit_format encoding : kEncodings) {
      c.encoding = encoding;
      check(c);
    }
  }
};
LOWBIT_PARITY_SUITE(RhoCompressTest);

TEST_P(RhoCompressTest, Lengths) {
  for (int64_t n : kLengths) check_all_ways({.shape = {n}, .seed = static_cast<uint64_t>(n)});
  for (int64_t n : {1000, 1024, 1025, 4097}) check_all_ways({.shape = {n}, .values = Values::mixed});
}

// The blocks run on over the ends of rows.
TEST_P(RhoCompressTest, Rows) {
  for (int64_t n : kLengths) {
    check_all_ways({.shape = {3, 2, n}});
    check_all_ways({.shape = {2, 1, 4, n}, .input = {3, 1}, .packed = {0, 3}, .scales = {0, 1}});
    check_all_ways({.shape = {7, n}, .input = {.padding = 4}});
  }
}

TEST_P(RhoCompressTest, HostileValues) {
  for (int kind = 0; kind < kValuesCount; ++kind) {
    for (int64_t n : {1, 32, 33, 200}) check_all_ways({.shape = {n}, .values = static_cast<Values>(kind)});
  }
}

// So much that threads share it.
TEST_P(RhoCompressTest, ManyValues) {
  places = {places[0]};
  check_all_ways({.shape = {200003}, .values = Values::mixed});
  check_all_ways({.shape = {611, 331}, .values = Values::mixed, .input = {.padding = 3}});
}

TEST_P(RhoCompressTest, CallersFloatSettings) {
  for (unsigned setting : hostile_float_settings()) {
    float_setting = setting;
    for (int kind = 0; kind < kValuesCount; ++kind)
      check_all_ways({.shape = {75}, .values = static_cast<Values>(kind)});
  }
}

TEST_P(RhoCompressTest, Buffers) {
  places = {Place::in_buffer};
  check_all_ways({.shape = {3, 33}, .values = Values::mixed, .input = {2, 1}, .packed = {0, 1}});
}

TEST_P(RhoCompressTest, Random) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Random random(seed);
    check({random.pick(kEncodings),
           {random.between(1, 5), random.between(1, 150)},
           static_cast<Values>(random.between(0, kValuesCount - 1)),
           seed,
           {random.chance(0.5) ? 0 : random.between(1, 9), random.between(0, 5)},
           {0, random.between(0, 5)}});
  }
}

}  // namespace
}  // namespace lowbit::test
