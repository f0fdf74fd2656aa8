// What is simulated is what the processor does, where it can do it, and what the manual says.
#include <cstring>
#include <vector>

#include "cpu/detect.h"
#include "lowbit/lowbit.h"
#include "simulation/amx.h"
#include "simulation/steps.h"
#include "values.h"

namespace lowbit::test {
namespace {

std::vector<uint8_t> random_bytes(int count, uint64_t seed) {
  Random random(seed);
  std::vector<uint8_t> bytes(static_cast<size_t>(count));
  for (uint8_t& b : bytes)
    b = random.chance(0.1) ? random.pick({0, 127, 128, 255}) : static_cast<uint8_t>(random.next());
  return bytes;
}

struct Isa {
  const char* name;
  uint64_t feature;
  const Steps *native, *simulated;
};
void PrintTo(const Isa& isa, std::ostream* out) { *out << isa.name; }

class SimulationTest : public testing::TestWithParam<Isa> {};

TEST_P(SimulationTest, DoesWhatTheProcessorDoes) {
  const auto& [name, feature, native, simulated] = GetParam();
  if ((core::cpu::detect_features() & feature) == 0) GTEST_SKIP() << "this processor has no " << name;
  ASSERT_EQ(native->count, simulated->count);
  for (int i = 0; i < native->count; ++i) {
    for (uint64_t seed = 0; seed < 50; ++seed) {
      const std::vector<uint8_t> in = random_bytes(kStepInput, seed);
      std::vector<uint8_t> expected(kStepOutput), got(kStepOutput);
      native->first[i].run(in.data(), expected.data());
      simulated->first[i].run(in.data(), got.data());
      ASSERT_EQ(expected, got) << native->first[i].name << ", seed " << seed;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    InstructionSets, SimulationTest,
    testing::Values(Isa{"avx2", LOWBIT_FEATURE_AVX2, &core::native_avx2::kSteps, &core::simulated_avx2::kSteps},
                    Isa{"avxvnni", LOWBIT_FEATURE_AVX_VNNI, &core::native_avxvnni::kSteps,
                        &core::simulated_avxvnni::kSteps},
                    Isa{"avx512vnni", LOWBIT_FEATURE_AVX512_VNNI, &core::native_avx512vnni::kSteps,
                        &core::simulated_avx512vnni::kSteps},
                    Isa{"amx", LOWBIT_FEATURE_AMX_INT8, &core::native_amx::kSteps, &core::simulated_amx::kSteps}),
    [](const auto& tested) { return std::string(tested.param.name); });

// Tile 0 is sums of `rows` x `columns`, 1 and 2 the operands, `words` deep.
void configure(int rows, int words, int columns) {
  uint8_t config[64] = {1};
  config[16] = static_cast<uint8_t>(4 * columns), config[48] = static_cast<uint8_t>(rows);
  config[18] = static_cast<uint8_t>(4 * words), config[49] = static_cast<uint8_t>(rows);
  config[20] = static_cast<uint8_t>(4 * columns), config[50] = static_cast<uint8_t>(words);
  _tile_loadconfig(config);
}

TEST(SimulatedAmx, MultipliesAsTheManualSays) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Random random(seed);
    const auto size = [&] { return static_cast<int>(random.between(1, 16)); };
    const int rows = size(), words = size(), columns = size();
    const bool is_signed = random.chance(0.5);
    const std::vector<uint8_t> a = random_bytes(16 * 64, seed), b = random_bytes(16 * 64, ~seed);
    int32_t got[16][16] = {}, expected[16][16] = {};
    configure(rows, words, columns);
    _tile_zero(0);
    _tile_loadd(1, a.data(), 64);
    _tile_loadd(2, b.data(), 64);
    for (int i = 0; i < 2; ++i) {
      if (is_signed) {
        _tile_dpbsud(0, 1, 2);
      } else {
        _tile_dpbuud(0, 1, 2);
      }
    }
    _tile_stored(0, got, 64);
    _tile_release();
    for (int m = 0; m < rows; ++m) {
      for (int n = 0; n < columns; ++n) {
        for (int k = 0; k < 4 * words; ++k) {
          const auto byte = a[static_cast<size_t>(64 * m + k)];
          const int left = is_signed ? static_cast<int8_t>(byte) : byte;
          expected[m][n] += 2 * left * b[static_cast<size_t>(k / 4 * 64 + 4 * n + k % 4)];
        }
      }
    }
    ASSERT_EQ(std::memcmp(got, expected, sizeof(got)), 0) << "seed " << seed;
  }
}

TEST(SimulatedAmxDeathTest, EndsWhereAProcessorWouldRaiseAnException) {
  uint8_t bytes[1024] = {};
  EXPECT_DEATH(_tile_zero(0), "before ldtilecfg");
  EXPECT_DEATH(_tile_loadconfig(bytes), "palette");
  EXPECT_DEATH((configure(17, 16, 16)), "larger");
  EXPECT_DEATH((configure(16, 16, 16), _tile_loadd(3, bytes, 64)), "no rows");
  EXPECT_DEATH((configure(16, 8, 16), _tile_dpbsud(0, 2, 1)), "rows of sums");
  EXPECT_DEATH((configure(16, 16, 16), _tile_dpbsud(0, 1, 1)), "not three");
}

TEST(SimulatedAmxDeathTest, EndsWhereTilesAreNotGivenBack) {
  EXPECT_DEATH((configure(1, 1, 1), std::exit(0)), "without tilerelease");
}

}  // namespace
}  // namespace lowbit::test
