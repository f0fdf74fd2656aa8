#include "values.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <limits>

namespace lowbit::test {

uint64_t Random::next() {  // splitmix64
  uint64_t z = state_ += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

int64_t Random::between(int64_t low, int64_t high) {
  return low + static_cast<int64_t>(next() % static_cast<uint64_t>(high - low + 1));
}

double Random::unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }

const char* name_of(Values values) {
  constexpr const char* kNames[] = {"uniform",    "ties",      "mean_ties", "bounds",   "zeros",          "minus_zeros",
                                    "tiny",       "subnormal", "huge",      "outlier",  "heavy",          "sparse",
                                    "cancelling", "lone",      "nan",       "infinity", "minus_infinity", "mixed"};
  static_assert(std::size(kNames) == kValuesCount);
  return kNames[static_cast<int>(values)];
}

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

float uniform(Random& random) { return static_cast<float>(2 * random.unit() - 1); }

void fill_row(Values kind, std::span<float> row, int qmax, Random& random) {
  const auto n = static_cast<int64_t>(row.size());
  const auto unit = static_cast<float>(std::ldexp(1.0, static_cast<int>(random.between(-9, 9))));
  const auto each = [&](auto value) {
    for (float& x : row) x = value();
  };
  switch (kind) {
    case Values::ties:  // qmax * f32(1/qmax) is 1 for every format
      each([&] { return random.sign() * unit * (static_cast<float>(random.between(0, qmax - 1)) + 0.5f); });
      row[random.between(0, n - 1)] = unit * static_cast<float>(qmax);
      break;
    case Values::mean_ties:  // twice the mean is qmax: pairs that add up to it, and half of it where one is left over
      for (int64_t i = 0; i < n; i += 2) {
        const float low = static_cast<float>(random.between(0, qmax - 1)) + 0.5f;
        row[i] = unit * (i + 1 == n ? static_cast<float>(qmax) / 2 : low);
        if (i + 1 < n) row[i + 1] = unit * (static_cast<float>(qmax) - low);
      }
      if (qmax == 255) break;  // uint8 counts positive values only
      for (float& x : row) x *= random.sign();
      break;
    case Values::bounds:
      each([&] { return random.sign() * unit * 1.7f; });
      break;
    case Values::zeros:
    case Values::lone:
      each([] { return 0.0f; });
      break;
    case Values::minus_zeros:
      each([&] { return random.sign() * 0.0f; });
      break;
    case Values::tiny:
      each([&] { return uniform(random) * 3e-8f; });
      break;
    case Values::subnormal:
      each([&] { return random.sign() * std::bit_cast<float>(static_cast<uint32_t>(random.between(0, 0x7fffff))); });
      break;
    case Values::huge:
      each([&] { return random.sign() * static_cast<float>(2.98e38 + 0.42e38 * random.unit()); });
      break;
    case Values::outlier:
      each([&] { return uniform(random); });
      row[random.between(0, n - 1)] = random.sign() * unit * 1e5f;
      break;
    case Values::heavy:
      each([&] {
        return uniform(random) * static_cast<float>(std::ldexp(1.0, static_cast<int>(random.between(-30, 30))));
      });
      break;
    case Values::sparse:
      each([&] { return random.chance(0.95) ? random.sign() * 0.0f : uniform(random); });
      break;
    case Values::cancelling:
      each([&] { return random.chance(0.2) ? random.sign() * 0x1p60f : uniform(random); });
      break;
    default:
      each([&] { return uniform(random); });
  }
}

}  // namespace

std::vector<float> make_values(Values kind, int64_t rows, int64_t length, int qmax, uint64_t seed) {
  Random random(seed);
  std::vector<float> values(static_cast<size_t>(rows * length));
  for (int64_t r = 0; r < rows; ++r) {
    const Values of_row =
        kind == Values::mixed ? static_cast<Values>(random.between(0, static_cast<int>(Values::lone) - 1)) : kind;
    fill_row(of_row, std::span(values).subspan(r * length, length), qmax, random);
  }
  float& one = values[random.between(0, rows * length - 1)];
  if (kind == Values::nan) {  // quiet or signalling, of either sign, with any payload
    const auto payload = static_cast<uint32_t>(random.between(1, 0x7fffff));
    one = std::bit_cast<float>(0x7f800000u | payload | (random.chance(0.5) ? 0x80000000u : 0u));
  }
  if (kind == Values::lone) one = (qmax == 255 ? 1.0f : random.sign()) * 1e6f;  // uint8 counts positive values only
  if (kind == Values::infinity) one = kInfinity;
  if (kind == Values::minus_infinity) one = -kInfinity;
  return values;
}

float hostile_float(Random& random) {
  return random.pick({std::bit_cast<float>(0x7fc00000u), std::bit_cast<float>(0xffa00001u), kInfinity, -kInfinity, 0.0f,
                      -0.0f, -0.37f, 1e-45f, -3e-41f, 1.1e-38f, 3e38f, -3e38f, 1e-30f, 0.0123f});
}

std::vector<int32_t> make_codes(lowbit_format format, int64_t count, uint64_t seed) {
  Random random(seed);
  const auto code = [&]() -> int64_t {
    switch (format) {
      case LOWBIT_TERNARY:
        return random.between(-1, 1);
      case LOWBIT_BINARY:
        return random.between(0, 1) * 2 - 1;
      case LOWBIT_INT4:
        return random.between(-7, 7);
      case LOWBIT_UINT8:
        return random.chance(0.1) ? 255 : random.between(0, 255);
      default:
        return random.chance(0.1) ? random.pick({-128, -127, 127}) : random.between(-127, 127);
    }
  };
  std::vector<int32_t> codes(static_cast<size_t>(count));
  for (int32_t& c : codes) c = static_cast<int32_t>(code());
  return codes;
}

std::vector<uint8_t> pack_bytes(lowbit_format format, std::span<const int32_t> codes) {
  const int bits = format == LOWBIT_TERNARY ? 2 : format == LOWBIT_BINARY ? 1 : 8;
  std::vector<uint8_t> bytes((codes.size() * bits + 7) / 8);
  for (size_t i = 0; i < codes.size(); ++i) {
    const int field = bits == 8 ? codes[i] & 0xff : bits == 2 ? codes[i] + 1 : (codes[i] + 1) / 2;
    bytes[i * bits / 8] |= static_cast<uint8_t>(field << (i * bits % 8));
  }
  return bytes;
}

const char* name_of(lowbit_format format) {
  constexpr const char* kNames[] = {"int8", "int4", "uint8", "ternary", "binary", "f32"};
  return kNames[static_cast<int>(format)];
}
const char* name_of(lowbit_rule rule) { return rule == LOWBIT_ABSMAX ? "absmax" : "absmean"; }
const char* name_of(lowbit_group group) {
  constexpr const char* kNames[] = {"per_tensor", "per_token", "per_token_all_heads", "per_channel"};
  return kNames[static_cast<int>(group)];
}
int qmax_of(lowbit_format format) { return format == LOWBIT_INT4 ? 7 : format == LOWBIT_UINT8 ? 255 : 127; }

std::string text_of(std::span<const int64_t> shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

}  // namespace lowbit::test
