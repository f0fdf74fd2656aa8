// The integer build of shaders/float32.glsl, compiled as C++, against the host's arithmetic: which is binary32, rounds
// to nearest even and does not contract (CMakeLists.txt).
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <iomanip>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "numbers.h"

namespace lowbit::test {
namespace {

// What the file uses of GLSL.
namespace glsl {

using uint = uint32_t;
using std::max;
using std::min;

int findMSB(uint x) { return 31 - std::countl_zero(x); }

void umulExtended(uint a, uint b, uint& high, uint& low) {
  const uint64_t product = uint64_t{a} * b;
  high = static_cast<uint>(product >> 32);
  low = static_cast<uint>(product);
}

#define LOWBIT_INTEGER_ONLY
#include "../shaders/float32.glsl"
#undef LOWBIT_INTEGER_ONLY

}  // namespace glsl

constexpr uint32_t kMagnitude = 0x7fffffff;
constexpr uint32_t kFraction = 0x007fffff;
constexpr int kPairs = 1'000'000;  // of each kind of random ones

float number(uint32_t bits) { return std::bit_cast<float>(bits); }
uint32_t bits_of(float x) { return std::bit_cast<uint32_t>(x); }

// A NaN is as good as any other.
bool same(uint32_t got, float expected) {
  return std::isnan(expected) ? std::isnan(number(got)) : got == bits_of(expected);
}

std::string hex(uint64_t value) {
  std::ostringstream text;
  text << "0x" << std::hex << std::setw(8) << std::setfill('0') << value;
  return text.str();
}

// False, with a failure, where an operation got other bits than the host.
bool check(const char* operation, uint32_t got, float expected, uint64_t a, uint64_t b = 0) {
  if (same(got, expected)) return true;
  ADD_FAILURE() << operation << " of " << hex(a) << ", " << hex(b) << ": " << hex(got) << ", not "
                << hex(bits_of(expected));
  return false;
}

bool check_comparisons(uint32_t a, uint32_t b) {
  const float x = number(a), y = number(b);
  if (glsl::f32_less(a, b) != (x < y)) {
    ADD_FAILURE() << hex(a) << " < " << hex(b);
    return false;
  }
  if (std::isnan(x) || std::isnan(y)) return true;
  const uint32_t larger = glsl::f32_max(a, b);
  if (larger != a && larger != b) {
    ADD_FAILURE() << "f32_max of " << hex(a) << ", " << hex(b) << ": " << hex(larger);
    return false;
  }
  return check("f32_max, but for a zero's sign", bits_of(number(larger) + 0.0f), std::max(x, y) + 0.0f, a, b);
}

bool check_pair(uint32_t a, uint32_t b) {
  const float x = number(a), y = number(b);
  const uint32_t p = a & kMagnitude, q = b & kMagnitude;
  return check("f32_add", glsl::f32_add(a, b), x + y, a, b) && check("f32_sub", glsl::f32_sub(a, b), x - y, a, b) &&
         check("f32_mul", glsl::f32_mul(a, b), x * y, a, b) && check_comparisons(a, b) &&
         (std::isnan(x) || std::isnan(y) ||
          check("f32_add_magnitudes", glsl::f32_add_magnitudes(p, q), number(p) + number(q), p, q));
}

bool check_round_magnitude(uint32_t a) {
  const float expected = std::min(std::nearbyint(number(a)), 16777216.0f);
  const uint32_t got = glsl::f32_round_magnitude(a);
  if (static_cast<float>(got) == expected) return true;
  ADD_FAILURE() << "f32_round_magnitude of " << hex(a) << ": " << got << ", not " << expected;
  return false;
}

bool check_reciprocal(uint32_t s) { return check("f32_reciprocal", glsl::f32_reciprocal(s), 1.0f / number(s), s); }

bool check_integer(int64_t v) {
  const auto wide = static_cast<uint64_t>(v);
  const auto low = static_cast<uint32_t>(wide);
  const auto high = static_cast<int32_t>(wide >> 32), narrow = static_cast<int32_t>(low);
  return check("f32_from_int64", glsl::f32_from_int64(low, high), static_cast<float>(v), wide) &&
         check("f32_from_int", glsl::f32_from_int(narrow), static_cast<float>(narrow), low);
}

// Zeros, subnormals, infinities, NaN, and around the exponents where something begins or ends, all with either sign.
std::vector<uint32_t> hostile_patterns() {
  std::vector<uint32_t> patterns = {LOWBIT_EPS_BITS, LOWBIT_EPS_BITS - 1, LOWBIT_EPS_BITS + 1, LOWBIT_NAN_BITS,
                                    0x7f800001,      0x7fffffff,          LOWBIT_INFINITY_BITS};
  // Of subnormals; of products that are; of half, one, 2^23, 2^24, 2^32, 2^126; of sums and products that overflow.
  for (const uint32_t exponent : {0,   1,   2,   3,   24,  25,  40,  63,  64,  102, 103, 125, 126,
                                  127, 128, 149, 150, 151, 152, 159, 190, 191, 252, 253, 254}) {
    for (const uint32_t fraction : {0x000000, 0x000001, 0x3fffff, 0x400000, 0x400001, 0x7ffffe, 0x7fffff}) {
      patterns.push_back(exponent << 23 | fraction);
    }
  }
  const size_t positive = patterns.size();
  for (size_t i = 0; i < positive; ++i) patterns.push_back(patterns[i] | ~kMagnitude);
  return patterns;
}

class Random {
 public:
  uint32_t bits() { return static_cast<uint32_t>(engine_()); }
  uint64_t wide_bits() { return engine_(); }
  int between(int low, int high) { return low + static_cast<int>(bits() % static_cast<uint32_t>(high - low + 1)); }
  uint32_t sign() { return bits() & ~kMagnitude; }
  // With the exponent held in the range of finite numbers.
  uint32_t with_exponent(int exponent, uint32_t fraction) {
    return sign() | static_cast<uint32_t>(std::clamp(exponent, 0, 254)) << 23 | (fraction & kFraction);
  }
  uint32_t with_exponent(int exponent) { return with_exponent(exponent, bits()); }
  // A fraction that is all zeros, or all ones, from some bit down, but for the last bit now and then.
  uint32_t fraction_with_tail() {
    const uint32_t tail = (1u << between(0, 23)) - 1, fraction = bits();
    return (between(0, 1) != 0 ? fraction | tail : fraction & ~tail) ^ static_cast<uint32_t>(between(0, 3) == 0);
  }

 private:
  std::mt19937_64 engine_{20240229};
};

// Pairs of a kind are made by make(random), as {a, b}.
template <typename Make>
void check_random_pairs(Make make) {
  Random random;
  for (int i = 0; i < kPairs; ++i) {
    const auto [a, b] = make(random);
    if (!check_pair(a, b)) return;
  }
}
struct Pair {
  uint32_t a, b;
};

TEST(Float32, HostilePatterns) {
  const std::vector<uint32_t> patterns = hostile_patterns();
  for (const uint32_t a : patterns) {
    EXPECT_EQ(glsl::f32_is_nan(a), std::isnan(number(a))) << hex(a);
    EXPECT_EQ(glsl::f32_is_finite(a), std::isfinite(number(a))) << hex(a);
    for (const uint32_t b : patterns) ASSERT_TRUE(check_pair(a, b));
  }
}

TEST(Float32, NanHasTheBitsOfTheScale) {
  EXPECT_EQ(glsl::f32_add(LOWBIT_INFINITY_BITS, LOWBIT_INFINITY_BITS | ~kMagnitude), LOWBIT_NAN_BITS);
  EXPECT_EQ(glsl::f32_sub(0xff800001, 0), LOWBIT_NAN_BITS);
  EXPECT_EQ(glsl::f32_mul(LOWBIT_INFINITY_BITS, 0), LOWBIT_NAN_BITS);
  EXPECT_EQ(glsl::f32_mul(0xff800001, 0), LOWBIT_NAN_BITS);
}

TEST(Float32, RandomBits) {
  check_random_pairs([](Random& r) { return Pair{r.bits(), r.bits()}; });
}

TEST(Float32, NearExponents) {
  check_random_pairs([](Random& r) {
    const int exponent = r.between(0, 254);
    return Pair{r.with_exponent(exponent), r.with_exponent(exponent + r.between(-27, 27))};
  });
}

TEST(Float32, TiesOfSums) {
  check_random_pairs([](Random& r) {
    const int exponent = r.between(0, 254);
    return Pair{r.with_exponent(exponent, r.fraction_with_tail()),
                r.with_exponent(exponent - r.between(0, 26), r.fraction_with_tail())};
  });
}

// 12 bits times 13 bits have 24 or 25.
TEST(Float32, TiesOfProducts) {
  check_random_pairs([](Random& r) {
    const int exponent = r.between(0, 254), sum = r.between(90, 400);
    return Pair{r.with_exponent(exponent, r.bits() << 12), r.with_exponent(sum - exponent, r.bits() << 11)};
  });
}

TEST(Float32, Cancellation) {
  check_random_pairs([](Random& r) {
    const uint32_t a = r.with_exponent(r.between(0, 254), r.fraction_with_tail());
    const auto nearby = static_cast<uint32_t>(std::max(0, static_cast<int>(a & kMagnitude) + r.between(-5, 5)));
    return Pair{a, nearby | r.sign()};
  });
}

TEST(Float32, SubnormalProducts) {
  check_random_pairs([](Random& r) {
    const int exponent = r.between(0, 130), sum = r.between(100, 130);
    return Pair{r.with_exponent(exponent, r.fraction_with_tail()), r.with_exponent(sum - exponent)};
  });
}

// One factor is small, with zeros on top.
TEST(Float32, SubnormalOperands) {
  check_random_pairs([](Random& r) {
    const uint32_t subnormal = r.with_exponent(0, (r.bits() & kFraction) >> r.between(0, 22));
    return Pair{subnormal, r.with_exponent(r.between(0, 1) != 0 ? r.between(0, 2) : r.between(100, 254))};
  });
}

TEST(Float32, Overflow) {
  check_random_pairs([](Random& r) {
    const bool of_sum = r.between(0, 1) != 0;
    const int exponent = of_sum ? r.between(230, 254) : r.between(127, 254);
    const int other = of_sum ? r.between(230, 254) : 127 + 254 - exponent + r.between(-2, 2);
    return Pair{r.with_exponent(exponent, r.fraction_with_tail()), r.with_exponent(other, r.fraction_with_tail())};
  });
}

// Some fractions at every exponent; all of them where the result is normal, where it has lost a bit or two, and before.
TEST(Float32, Reciprocal) {
  for (uint32_t exponent = 1; exponent < 255; ++exponent) {
    for (uint32_t fraction = 0; fraction <= kFraction; fraction += 40'009) {
      ASSERT_TRUE(check_reciprocal(exponent << 23 | fraction));
    }
    for (const uint32_t fraction : {0x000001, 0x000002, 0x400000, 0x7ffffe, 0x7fffff}) {
      ASSERT_TRUE(check_reciprocal(exponent << 23 | fraction));
    }
  }
  for (const uint32_t exponent : {127, 252, 253, 254}) {
    for (uint32_t fraction = 0; fraction <= kFraction; ++fraction) {
      if (!check_reciprocal(exponent << 23 | fraction)) return;
    }
  }
  ASSERT_TRUE(check_reciprocal(LOWBIT_EPS_BITS));
}

// Every half up to 2^10, later ones with a stride; and the numbers next to them.
TEST(Float32, RoundMagnitude) {
  for (uint32_t twice = 0; twice < 1u << 25; twice += twice < 1u << 11 ? 1 : 31) {
    const uint32_t a = bits_of(static_cast<float>(twice) / 2);
    for (const uint32_t near : {a == 0 ? 0 : a - 1, a, a + 1}) ASSERT_TRUE(check_round_magnitude(near));
  }
  for (const uint32_t a : hostile_patterns()) {
    if (std::isnan(number(a))) continue;
    ASSERT_TRUE(check_round_magnitude(a & kMagnitude));
  }
  Random random;
  for (int i = 0; i < kPairs; ++i) {
    ASSERT_TRUE(check_round_magnitude(random.bits() % (LOWBIT_INFINITY_BITS + 1)));
  }
}

// Of any length, with a tail of zeros or ones after 24 bits or so, and the integers next to them.
TEST(Float32, FromIntegers) {
  for (const uint64_t v : {0ull, 1ull << 31, 1ull << 32, 1ull << 63, ~0ull << 31, ~0ull << 32}) {
    for (const uint64_t near : {v - 1, v, v + 1}) ASSERT_TRUE(check_integer(static_cast<int64_t>(near)));
  }
  Random random;
  for (int i = 0; i < kPairs; ++i) {
    const int length = random.between(1, 64);
    const uint64_t leading = random.wide_bits() >> (64 - length);
    const int tail_length = std::clamp(length - random.between(22, 27), 0, 63);
    const uint64_t tail = (uint64_t{1} << tail_length) - 1;
    const uint64_t v = random.between(0, 1) != 0 ? leading | tail : leading & ~tail;
    for (const uint64_t near : {v - 1, v, v + 1}) {
      ASSERT_TRUE(check_integer(static_cast<int64_t>(near)));
      ASSERT_TRUE(check_integer(static_cast<int64_t>(0 - near)));
    }
  }
}

}  // namespace
}  // namespace lowbit::test
