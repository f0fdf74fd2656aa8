// Operands from a seed. Not zeros: a GPU computes those with less power, and so faster.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lowbit/lowbit.h"

namespace lowbit::bench {

// "int8"
std::string name_of(lowbit_format format);

// Of [low, high).
std::vector<float> random_floats(int64_t count, float low, float high);
// `count` codes of int8, ternary or binary in their packed form, `count` a multiple of 8. All int8 and binary codes are
// as likely; half of the ternary ones are 0.
std::vector<uint8_t> random_codes(lowbit_format format, int64_t count);
// Makes all but about this share of the codes 0.
void thin_out(std::vector<uint8_t>& int8_codes, double nonzero);

}  // namespace lowbit::bench
