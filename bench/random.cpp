#include "random.h"

#include <cstring>
#include <random>

namespace lowbit::bench {
namespace {

constexpr uint64_t kSeed = 1;

}  // namespace

std::string name_of(lowbit_format format) {
  return format == LOWBIT_TERNARY ? "ternary" : format == LOWBIT_BINARY ? "binary" : "int8";
}

std::vector<float> random_floats(int64_t count, float low, float high) {
  std::mt19937 random(kSeed);
  const float step = (high - low) * 0x1p-32f;
  std::vector<float> floats(static_cast<size_t>(count));
  for (float& x : floats) x = low + static_cast<float>(random()) * step;
  return floats;
}

std::vector<uint8_t> random_codes(lowbit_format format, int64_t count) {
  std::mt19937_64 random(kSeed);
  std::vector<uint8_t> bytes(static_cast<size_t>(lowbit_packed_weight_size(format, static_cast<uint64_t>(count))));
  for (uint8_t& byte : bytes) {
    byte = static_cast<uint8_t>(random() >> 56);
    if (format == LOWBIT_INT8 && byte == 0x80) byte = 0;            // -128 is no code
    if (format == LOWBIT_TERNARY) byte ^= byte << 1 & byte & 0xaa;  // 3 is no code: it becomes 1, which is weight 0
  }
  return bytes;
}

void thin_out(std::vector<uint8_t>& int8_codes, double nonzero) {
  std::mt19937 random(kSeed + 1);
  std::bernoulli_distribution keeps(nonzero);
  for (uint8_t& code : int8_codes) {
    if (!keeps(random)) code = 0;
  }
}

}  // namespace lowbit::bench
