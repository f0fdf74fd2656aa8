// decoder_tail on every device: codes against the oracle, floats against their bound.
#include "projection.h"

namespace lowbit::test {
namespace {

class DecoderTailTest : public ProjectionTest {};
LOWBIT_PARITY_SUITE(DecoderTailTest);

// [B, H, T, l] x [H*L, D] -> [B, 1, T, D]
Projection tail(int64_t B, int64_t H, int64_t T, int64_t l, int64_t L, int64_t D) {
  return {.operation = LOWBIT_DECODER_TAIL, .B = B, .Hi = H, .H = H, .T = T, .K = L, .N = D, .used = l};
}

TEST_P(DecoderTailTest, Depths) {
  for (int64_t L : kLengths) check_all_formats(tail(1, 3, 3, L, L, 11));
}

// The first l of L: kernels must stop inside a group of steps.
TEST_P(DecoderTailTest, PartsOfTheLatent) {
  for (int64_t l = 1; l <= 33; ++l) check_all_formats(tail(2, 2, 3, l, 33, 9));
  for (int64_t l : {63, 64, 65, 127, 128, 129}) check_all_formats(tail(1, 2, 2, l, 257, 9));
}

TEST_P(DecoderTailTest, Columns) {
  for (int64_t D : kLengths) {
    check_all_formats(tail(1, 1, 1, 37, 37, D));
    check_all_formats(tail(1, 2, 3, 12, 13, D));
  }
}

TEST_P(DecoderTailTest, Rows) {
  for (int64_t T : kRows) {
    check_all_formats(tail(1, 2, T, 35, 35, 17));
    check_all_formats(tail(2, 2, T, 35, 36, 25));
  }
}

// As LowrankProjectionTest.Tiles.
TEST_P(DecoderTailTest, Tiles) {
  for (int64_t T : kManyRows) {
    check_all_formats(tail(1, 2, T, 21, 21, 17));
    check_all_formats(tail(1, 2, T, 9, 10, 257));
  }
  for (int64_t D : {63, 64, 65, 127, 128, 129, 161, 257}) check_all_formats(tail(1, 2, 129, 7, 7, D));
  for (int64_t l : {64, 127, 128, 129, 192, 256, 515}) check_all_formats(tail(1, 2, 65, l, l + 3, 33));
  check_all_formats(tail(3, 2, 43, 131, 140, 130));
}

// One row that is nearly all zero: a GPU reads only the weights that meet something.
TEST_P(DecoderTailTest, MostlyZero) {
  for (int64_t l : {1, 31, 64, 129, 1000, 5003}) {
    Projection c = tail(1, 3, 1, l, l + 1, 37);
    c.source = Source::floats, c.values = Values::sparse;
    for (lowbit_format weights : kWeightFormats) check_code_formats(weights, c);
  }
}

// As LowrankProjectionTest.WholeDevice.
TEST_P(DecoderTailTest, WholeDevice) {
  if (!spreads_work()) GTEST_SKIP() << "no kernel of " << GetParam().name << " asks how many outputs there are";
  for (int64_t l : {1, 13, 45, 64, 128, 129, 253}) check_code_formats(LOWBIT_INT8, tail(1, 3, 129, l, 256, 1020));
  check_code_formats(LOWBIT_INT8, tail(3, 2, 130, 45, 47, 400));
  Projection c = tail(2, 2, 66, 77, 77, 1049);
  c.input = {3, 5}, c.output = {2, 7}, c.sums = Sums::extreme;
  check_code_formats(LOWBIT_INT8, c);
}

TEST_P(DecoderTailTest, Heads) {
  for (int64_t H = 1; H <= 5; ++H) {
    for (int64_t B : {1, 3}) check_all_formats(tail(B, H, 3, 29, 31, 19));
    check_all_formats(tail(2, H, 9, 64, 64, 19));
  }
}

// More heads than a kernel goes through in one stretch, each with fewer steps than it takes at once.
TEST_P(DecoderTailTest, ManyHeads) {
  for (int64_t T : {1, 3, 34}) check_all_formats(tail(1, T == 1 ? 3000 : 200, T, 3, 5, 40));
}

TEST_P(DecoderTailTest, RowsApart) {
  for (int64_t l : kLengths) {
    Projection c = tail(2, 2, 3, l, l + 2, 21);
    c.input = {3, 5}, c.output = {2, 7};
    check_all_formats(c);
  }
}

// Sums past 32 bits, whose steps are spread over the heads: a kernel that carries does so inside a head, at its end,
// and not in every head.
TEST_P(DecoderTailTest, LongSums) {
  places = {places[0]};
  for (lowbit_format weights : kWeightFormats) {
    const auto check_sums = [&](lowbit_format activations, int64_t H, int64_t T, int64_t l, int64_t D) {
      Projection c = tail(1, H, T, l, l + 3, D);
      c.activations = activations, c.weights = weights, c.sums = Sums::extreme;
      check(c);
    };
    for (int64_t T : {1, 2, 3, 4}) check_sums(LOWBIT_UINT8, 3, T, 23001, T == 1 ? 57 : 17);
    check_sums(LOWBIT_UINT8, 5, 1, 28000, 9);
    check_sums(LOWBIT_INT8, 2, 2, 70000, 5);
    for (lowbit_format activations : {LOWBIT_INT8, LOWBIT_UINT8}) check_sums(activations, 3, 17, 23001, 3);
    check_sums(LOWBIT_INT8, 1, 20, 9001, 130);  // several panels and tiles of rows, in blocks of K on the cpu
    check_sums(LOWBIT_UINT8, 1, 1, 70000, 9);
    check_sums(LOWBIT_UINT8, 4, 1, 16384, 3);
    check_sums(LOWBIT_UINT8, 5, 1, 16384, 3);
    check_sums(LOWBIT_UINT8, 3, 1, 21845, 3);
    check_sums(LOWBIT_UINT8, 2, 1, 65537, 3);
  }
}

TEST_P(DecoderTailTest, HostileScales) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Projection c = tail(2, 2, 3, 21, 22, 19);
    c.hostile_scales = true, c.seed = seed;
    check_all_formats(c);
  }
}

TEST_P(DecoderTailTest, HostileValues) {
  for (int kind = 0; kind < kValuesCount; ++kind) {
    Projection c = tail(2, 3, 3, 41, 43, 9);
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

TEST_P(DecoderTailTest, CallersFloatSettings) {
  for (unsigned setting : hostile_float_settings()) {
    float_setting = setting;
    for (Values values : {Values::uniform, Values::ties, Values::mixed, Values::subnormal}) {
      for (bool hostile_scales : {false, true}) {
        Projection c = tail(1, 2, 3, 45, 46, 19);
        c.values = values, c.hostile_scales = hostile_scales;
        check_all_formats(c);
      }
    }
  }
}

TEST_P(DecoderTailTest, Buffers) {
  places = {Place::in_buffer};
  Projection c = tail(2, 2, 3, 45, 47, 17);
  c.input = {2, 1}, c.output = {1, 3};
  check_all_formats(c);
}

TEST_P(DecoderTailTest, Random) {
  for (uint64_t seed = 0; seed < 400; ++seed) check(random_projection(LOWBIT_DECODER_TAIL, seed));
}

}  // namespace
}  // namespace lowbit::test
