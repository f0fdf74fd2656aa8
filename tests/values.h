// Contents of operands: values and codes that hurt, from a seed.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "lowbit/lowbit.h"

namespace lowbit::test {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next();
  int64_t between(int64_t low, int64_t high);  // both included
  double unit();                               // [0, 1)
  bool chance(double p) { return unit() < p; }
  float sign() { return (next() & 1) != 0 ? -1.0f : 1.0f; }
  template <typename Container>
  auto pick(const Container& from) {
    return *(std::begin(from) + between(0, static_cast<int64_t>(std::size(from)) - 1));
  }
  template <typename T>
  T pick(std::initializer_list<T> from) {
    return from.begin()[between(0, static_cast<int64_t>(from.size()) - 1)];
  }

 private:
  uint64_t state_;
};

enum class Values {
  uniform,    // [-1, 1)
  ties,       // under absmax every product with 1/scale ends in .5
  mean_ties,  // the same under absmean
  bounds,     // every code at its bound
  zeros,
  minus_zeros,
  tiny,  // the scale is the smallest there is
  subnormal,
  huge,        // up to the largest float: sums overflow
  outlier,     // one large value in a row
  heavy,       // exponents from -30 to 30
  sparse,      // nearly all zero
  cancelling,  // some equal and large among small ones: float sums show their order
  lone,        // all zero but one value of the tensor
  nan,         // uniform, but for one value of the tensor
  infinity,
  minus_infinity,
  mixed,  // every row is of one of those before `lone`
};
constexpr int kValuesCount = static_cast<int>(Values::mixed) + 1;
const char* name_of(Values values);

// `rows` rows of `length`; qmax as of the format that they are quantised to.
std::vector<float> make_values(Values kind, int64_t rows, int64_t length, int qmax, uint64_t seed);

// Floats that a caller may hand in as a scale or a threshold and hardly ever does.
float hostile_float(Random& random);

// Codes over the whole range of a format, -128 with them where int8 bytes are handed in; and weights as packed bytes.
std::vector<int32_t> make_codes(lowbit_format format, int64_t count, uint64_t seed);
std::vector<uint8_t> pack_bytes(lowbit_format format, std::span<const int32_t> codes);

// Names as the oracle knows them.
const char* name_of(lowbit_format format);
const char* name_of(lowbit_rule rule);
const char* name_of(lowbit_group group);
int qmax_of(lowbit_format format);
std::string text_of(std::span<const int64_t> shape);

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Last axes and row counts around every size that a kernel treats as a whole.
constexpr int64_t kLengths[] = {1,  2,  3,  4,  5,  7,  8,  9,  11,  13,  15,  16,  17, 23,
                                31, 32, 33, 47, 63, 64, 65, 97, 127, 128, 129, 251, 257};
constexpr int64_t kRows[] = {1, 2, 3, 4, 5, 8, 9, 17};
// Both sides of where kernels for many rows begin, and of their tiles.
constexpr int64_t kManyRows[] = {31, 32, 33, 34, 63, 64, 65, 127, 128, 129, 130};

}  // namespace lowbit::test
