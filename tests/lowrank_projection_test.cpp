// lowrank_projection on every device: codes against the oracle, floats against their bound.
#include <cmath>

#include "projection.h"

namespace lowbit::test {
namespace {

class LowrankProjectionTest : public ProjectionTest {};
LOWBIT_PARITY_SUITE(LowrankProjectionTest);

// [B, Hi, T, E] x [H, E, L] -> [B, H, T, Lo]
Projection lowrank(int64_t B, int64_t Hi, int64_t H, int64_t T, int64_t E, int64_t L, int64_t Lo) {
  return {.operation = LOWBIT_LOWRANK_PROJECTION, .B = B, .Hi = Hi, .H = H, .T = T, .K = E, .N = L, .used = Lo};
}

TEST_P(LowrankProjectionTest, Depths) {
  for (int64_t E : kLengths) check_all_formats(lowrank(1, 1, 2, 3, E, 11, 11));
}

TEST_P(LowrankProjectionTest, Columns) {
  for (int64_t L : kLengths) {
    check_all_formats(lowrank(1, 1, 1, 1, 37, L, L));
    check_all_formats(lowrank(1, 1, 2, 2, 13, L, L));
    check_all_formats(lowrank(1, 1, 2, 5, 13, 257, L));
  }
}

TEST_P(LowrankProjectionTest, Rows) {
  for (int64_t T : kRows) {
    check_all_formats(lowrank(1, 1, 1, T, 35, 17, 17));
    check_all_formats(lowrank(2, 1, 2, T, 35, 25, 24));
  }
}

// Tiles of GPUs are up to 128 rows by 256 columns, and go through K by 64 or 128 steps.
TEST_P(LowrankProjectionTest, Tiles) {
  for (int64_t T : kManyRows) {
    check_all_formats(lowrank(1, 1, 1, T, 35, 17, 17));
    check_all_formats(lowrank(1, 1, 2, T, 19, 130, 129));
  }
  for (int64_t L : {63, 64, 65, 127, 128, 129, 161, 257}) check_all_formats(lowrank(1, 1, 1, 129, 13, L, L));
  for (int64_t E : {64, 127, 128, 129, 192, 256, 515}) check_all_formats(lowrank(1, 1, 1, 65, E, 33, 33));
  check_all_formats(lowrank(3, 2, 2, 43, 131, 130, 129));
}

// Enough outputs for both multiprocessors of the emulated device to have a large tile, and rows that tensor copies
// reach or, at the odd depths, do not.
TEST_P(LowrankProjectionTest, WholeDevice) {
  if (!spreads_work()) GTEST_SKIP() << "no kernel of " << GetParam().name << " asks how many outputs there are";
  for (int64_t E : {1, 16, 45, 64, 127, 128, 129, 300})
    check_code_formats(LOWBIT_INT8, lowrank(1, 1, 4, 129, E, 257, 256));
  check_code_formats(LOWBIT_INT8, lowrank(2, 4, 4, 65, 640, 256, 255));
  check_code_formats(LOWBIT_INT8, lowrank(3, 1, 2, 86, 513, 260, 260));
  Projection c = lowrank(1, 1, 1, 130, 61, 1050, 1049);
  c.input = {3, 5}, c.output = {2, 7}, c.threshold = 0.25f;
  check_code_formats(LOWBIT_INT8, c);
  c.sums = Sums::extreme;
  check_code_formats(LOWBIT_INT8, c);
}

TEST_P(LowrankProjectionTest, Heads) {
  for (int64_t H = 1; H <= 5; ++H) {
    for (int64_t B : {1, 3}) {
      check_all_formats(lowrank(B, 1, H, 3, 29, 19, 19));
      for (int64_t E : {29, 64}) check_all_formats(lowrank(B, H, H, 3, E, 19, 18));
    }
  }
}

TEST_P(LowrankProjectionTest, RowsApart) {
  for (int64_t E : kLengths) {
    Projection c = lowrank(2, 2, 2, 3, E, 21, 20);
    c.input = {3, 5}, c.output = {2, 7};
    check_all_formats(c);
  }
}

// Sums past 32 bits. Each number of rows and columns takes tiles of other sizes; depths stand on both sides of 65536
// steps, where a kernel may carry, and of a whole group of steps there.
TEST_P(LowrankProjectionTest, LongSums) {
  places = {places[0]};
  for (lowbit_format weights : kWeightFormats) {
    const auto check_sums = [&](lowbit_format activations, int64_t T, int64_t E, int64_t L) {
      Projection c = lowrank(1, 1, 1, T, E, L, L);
      c.activations = activations, c.weights = weights, c.sums = Sums::extreme;
      check(c);
    };
    for (int64_t T : {1, 2, 3, 4}) check_sums(LOWBIT_UINT8, T, 70000, T == 1 ? 57 : 17);
    check_sums(LOWBIT_UINT8, 1, 140000, 9);
    check_sums(LOWBIT_INT8, 2, 140000, 5);
    for (lowbit_format activations : {LOWBIT_INT8, LOWBIT_UINT8}) check_sums(activations, 17, 70000, 3);
    check_sums(LOWBIT_INT8, 130, 9001, 70);  // several panels and many rows, in blocks of K on the cpu
    for (int64_t E : {65535, 65536, 65537, 65540, 131072, 131073}) check_sums(LOWBIT_UINT8, 1, E, 3);
  }
}

TEST_P(LowrankProjectionTest, Thresholds) {
  for (float threshold : {0.0f, -0.0f, 0.5f, -3.0f, 1e-40f, 3e38f, NAN, INFINITY, -INFINITY}) {
    Projection c = lowrank(1, 1, 2, 3, 33, 19, 19);
    c.threshold = threshold;
    check_all_formats(c);
    c.hostile_scales = true;
    check_all_formats(c);
  }
}

TEST_P(LowrankProjectionTest, HostileScales) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Projection c = lowrank(1, 2, 2, 5, 21, 19, 19);
    c.hostile_scales = true, c.seed = seed;
    check_all_formats(c);
  }
}

TEST_P(LowrankProjectionTest, HostileValues) {
  for (int kind = 0; kind < kValuesCount; ++kind) {
    Projection c = lowrank(2, 1, 2, 3, 67, 9, 9);
    c.values = static_cast<Values>(kind), c.source = Source::floats;
    for (lowbit_format weights : kWeightFormats) {
      for (lowbit_format activations : {LOWBIT_INT8, LOWBIT_INT4, LOWBIT_UINT8, LOWBIT_F32}) {
        for (lowbit_rule rule : {LOWBIT_ABSMAX, LOWBIT_ABSMEAN}) {
          for (lowbit_group group : {LOWBIT_PER_TENSOR, LOWBIT_PER_TOKEN}) {
            c.weights = weights, c.activations = activations, c.rule = rule, c.group = group;
            check(c);
          }
        }
      }
    }
  }
}

TEST_P(LowrankProjectionTest, CallersFloatSettings) {
  for (unsigned setting : hostile_float_settings()) {
    float_setting = setting;
    for (Values values : {Values::uniform, Values::ties, Values::mixed, Values::subnormal}) {
      for (bool hostile_scales : {false, true}) {
        Projection c = lowrank(1, 1, 2, 3, 45, 19, 19);
        c.values = values, c.hostile_scales = hostile_scales, c.threshold = 1e-39f;
        check_all_formats(c);
      }
    }
  }
}

TEST_P(LowrankProjectionTest, Buffers) {
  places = {Place::in_buffer};
  Projection c = lowrank(2, 2, 2, 3, 45, 19, 17);
  c.input = {2, 1}, c.output = {1, 3};
  check_all_formats(c);
}

TEST_P(LowrankProjectionTest, Random) {
  for (uint64_t seed = 0; seed < 400; ++seed) check(random_projection(LOWBIT_LOWRANK_PROJECTION, seed));
}

}  // namespace
}  // namespace lowbit::test
