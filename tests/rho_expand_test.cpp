// rho_expand on every device against the oracle: floats bit for bit, and data that does not fit.
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
  bool hostile_scales = false;
  uint64_t seed = 1;
  Spacing output = {}, packed = {}, scales = {};

  int64_t count() const {
    int64_t count = 1;
    for (int64_t extent : shape) count *= extent;
    return count;
  }
  std::string text() const {
    return fmt::format("rho_expand {} to {}{} (seed {})", name_of(encoding), text_of(shape),
                       hostile_scales ? ", hostile scales" : "", seed);
  }
  oracle::Blocks blocks() const {
    Random random(seed);
    oracle::Blocks blocks{pack_bytes(encoding, make_codes(encoding, count(), seed)), {}};
    for (int64_t i = 0; i < ceil_div(count(), kBlock); ++i) {
      blocks.scales.push_back(hostile_scales ? hostile_float(random) : static_cast<float>(random.unit()));
    }
    return blocks;
  }
};

class RhoExpandTest : public ParityTest {
 protected:
  // Fails with a sentence that contains `says`, or expands to what the oracle says where that is empty.
  void check(const Case& c, const oracle::Blocks& blocks, const std::string& says = "") {
    for (Place place : places) {
      const Operand packed(rig, place, LOWBIT_TYPE_U8, {static_cast<int64_t>(blocks.packed.size())},
                           bits_of(blocks.packed), c.packed);
      const Operand scales(rig, place, LOWBIT_TYPE_F32, {static_cast<int64_t>(blocks.scales.size())},
                           bits_of(blocks.scales), c.scales);
      const Operand output(rig, place, LOWBIT_TYPE_F32, c.shape, c.output);
      const lowbit_rho_expand_args args{sizeof(args), c.encoding, packed.tensor(), scales.tensor(), output.tensor()};
      lowbit_status enqueued = LOWBIT_OK;
      const lowbit_status status = call([&] { return enqueued = lowbit_rho_expand(rig.stream, &args); });
      if (!says.empty()) {
        EXPECT_EQ(status, LOWBIT_INVALID_ARGUMENT) << c.text();
        EXPECT_NE(std::string(lowbit_last_error()).find(says), std::string::npos) << lowbit_last_error();
        // A device that reads the codes while it expands them tells of a bad one afterwards.
        if (enqueued != LOWBIT_OK || place != Place::in_buffer) output.expect_untouched();
        continue;
      }
      ASSERT_EQ(status, LOWBIT_OK) << c.text() << ": " << lowbit_last_error();
      const auto& expected =
          remembered(c.text(), [&] { return oracle::rho_expand(blocks, c.count(), name_of(c.encoding)); });
      expect_same(c.text(), output.read(), bits_of(expected), Match::floats);
    }
  }
  void check(const Case& c) { check(c, c.blocks()); }
  void check_all_ways(Case c) {
    for (lowbit_format encoding : kEncodings) {
      c.encoding = encoding;
      check(c);
    }
  }
};
LOWBIT_PARITY_SUITE(RhoExpandTest);

TEST_P(RhoExpandTest, Lengths) {
  for (int64_t n : kLengths) {
    check_all_ways({.shape = {n}, .seed = static_cast<uint64_t>(n)});
    check_all_ways({.shape = {2, 1, 3, n}, .output = {3, 1}, .packed = {0, 3}, .scales = {0, 1}});
    check_all_ways({.shape = {7, n}, .output = {.padding = 4}});
  }
}

TEST_P(RhoExpandTest, EveryByte) {
  Case c{LOWBIT_INT8, {256}, false, 999};
  oracle::Blocks blocks{std::vector<uint8_t>(256), {1.0f, -3.0f, 0.1f, 1e-40f, 1.0f, 3e38f, -0.0f, 0.3f}};
  for (int i = 0; i < 256; ++i) blocks.packed[i] = static_cast<uint8_t>(128 + i);  // -128 comes first
  check(c, blocks);
}

TEST_P(RhoExpandTest, HostileScales) {
  for (uint64_t seed = 0; seed < 20; ++seed) check_all_ways({.shape = {1000}, .hostile_scales = true, .seed = seed});
}

TEST_P(RhoExpandTest, CodeThree) {
  for (int64_t n : {1, 31, 32, 33, 64, 100}) {
    for (int64_t at : {int64_t{0}, n / 2, n - 1}) {
      const Case c{LOWBIT_TERNARY, {n}};
      oracle::Blocks blocks = c.blocks();
      blocks.packed[at / 4] |= static_cast<uint8_t>(3 << (2 * (at % 4)));
      check(c, blocks, fmt::format("block {}", at / kBlock));
    }
  }
}

TEST_P(RhoExpandTest, WrongSizes) {
  for (lowbit_format encoding : kEncodings) {
    for (int64_t n : {1, 32, 33, 64, 100}) {
      const Case c{encoding, {n}};
      const oracle::Blocks right = c.blocks();
      const auto block_bytes = static_cast<int64_t>(lowbit_rho_packed_size(encoding, kBlock));
      const auto parts = [&](int64_t bytes) {
        return fmt::format("packed has {} elements, the output needs {}: they part at block {}", bytes,
                           right.packed.size(),
                           std::min<int64_t>(bytes, static_cast<int64_t>(right.packed.size())) / block_bytes);
      };
      oracle::Blocks wrong = right;
      wrong.packed.push_back(0);
      check(c, wrong, parts(static_cast<int64_t>(wrong.packed.size())));
      wrong = right;
      wrong.scales.push_back(1);
      check(c, wrong, fmt::format("block {}", right.scales.size()));
      wrong = right;
      wrong.packed.pop_back();
      if (!wrong.packed.empty()) check(c, wrong, parts(static_cast<int64_t>(wrong.packed.size())));
      wrong = right;
      wrong.scales.pop_back();
      if (!wrong.scales.empty()) check(c, wrong, fmt::format("block {}", wrong.scales.size()));
    }
  }
}

// Bits behind the last value are nobody's: they may be anything.
TEST_P(RhoExpandTest, BitsBehindTheEnd) {
  for (lowbit_format encoding : {LOWBIT_TERNARY, LOWBIT_BINARY}) {
    for (int64_t n : {1, 3, 29, 31, 33, 66, 1021}) {
      const Case c{encoding, {n}};
      oracle::Blocks blocks = c.blocks();
      const int used =
          static_cast<int>(n % (encoding == LOWBIT_TERNARY ? 4 : 8)) * (encoding == LOWBIT_TERNARY ? 2 : 1);
      blocks.packed.back() |= static_cast<uint8_t>(0xff << used);
      check(c, blocks);
    }
  }
}

// Codes in the middle of much that is well.
TEST_P(RhoExpandTest, CodeThreeFarOn) {
  for (int64_t at : {1023, 1024, 8191, 8192, 20000}) {
    const Case c{LOWBIT_TERNARY, {4, 5001}};
    oracle::Blocks blocks = c.blocks();
    for (int64_t i : {at, int64_t{20003}}) blocks.packed[i / 4] |= static_cast<uint8_t>(3 << (2 * (i % 4)));
    check(c, blocks, fmt::format("block {}, at value {}", at / kBlock, at));
  }
}

// So much that threads share it.
TEST_P(RhoExpandTest, ManyValues) {
  places = {places[0]};
  check_all_ways({.shape = {200003}});
  check_all_ways({.shape = {611, 331}, .output = {.padding = 3}});
  for (int64_t at : {99999, 199999, 200002}) {
    const Case c{LOWBIT_TERNARY, {200003}};
    oracle::Blocks blocks = c.blocks();
    blocks.packed[at / 4] |= static_cast<uint8_t>(3 << (2 * (at % 4)));
    check(c, blocks, fmt::format("block {}, at value {}", at / kBlock, at));
  }
}

// What compress made of data that is not finite expands to NaN, block by block.
TEST_P(RhoExpandTest, BlocksThatWereNotFinite) {
  for (lowbit_format encoding : kEncodings) {
    for (Values kind : {Values::nan, Values::infinity, Values::minus_infinity, Values::huge}) {
      const Case c{encoding, {97}, false, 1000 + static_cast<uint64_t>(kind)};
      check(c, oracle::rho_compress(make_values(kind, 1, 97, 127, 1), name_of(encoding)));
    }
  }
}

TEST_P(RhoExpandTest, CallersFloatSettings) {
  for (unsigned setting : hostile_float_settings()) {
    float_setting = setting;
    check_all_ways({.shape = {300}});
    check_all_ways({.shape = {300}, .hostile_scales = true});
  }
}

TEST_P(RhoExpandTest, Buffers) {
  places = {Place::in_buffer};
  check_all_ways({.shape = {3, 33}, .output = {2, 1}, .packed = {0, 1}, .scales = {0, 1}});
}

TEST_P(RhoExpandTest, Random) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Random random(seed);
    check({random.pick(kEncodings),
           {random.between(1, 5), random.between(1, 150)},
           random.chance(0.5),
           seed,
           {random.chance(0.5) ? 0 : random.between(1, 9), random.between(0, 5)},
           {0, random.between(0, 5)}});
  }
}

}  // namespace
}  // namespace lowbit::test
