// Names and properties of formats, rules, groups and operations, as small sets and functions.
#pragma once

#include <bit>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "lowbit/lowbit.h"
#include "numbers.h"

namespace lowbit::core {

// A set of enumerators of one of lowbit.h's enums, as a bit mask.
template <typename Enum>
class Set {
 public:
  constexpr Set() = default;
  constexpr Set(std::initializer_list<Enum> members) {
    for (Enum member : members) bits_ |= bit(member);
  }
  constexpr bool contains(Enum member) const { return (bits_ & bit(member)) != 0; }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr Enum first() const { return static_cast<Enum>(std::countr_zero(bits_)); }

 private:
  static constexpr uint32_t bit(Enum member) {
    const auto index = static_cast<uint32_t>(member);
    return index < 32 ? uint32_t{1} << index : 0;
  }
  uint32_t bits_ = 0;
};
using FormatSet = Set<lowbit_format>;

// "int8"; "format 17" for a number that is none.
std::string name_of(lowbit_format format);
std::string name_of(lowbit_rule rule);
std::string name_of(lowbit_group group);
std::string name_of(lowbit_type type);
std::string name_of(lowbit_operation operation);
std::string name_of(lowbit_guard guard);

constexpr int kOperationCount = LOWBIT_RHO_EXPAND + 1;

constexpr int qmax(lowbit_format format) {
  return format == LOWBIT_INT4 ? LOWBIT_QMAX_INT4 : format == LOWBIT_UINT8 ? LOWBIT_QMAX_UINT8 : LOWBIT_QMAX_INT8;
}

// Weights and rho: codes that a byte holds.
constexpr int64_t codes_per_byte(lowbit_format format) {
  return format == LOWBIT_TERNARY ? 4 : format == LOWBIT_BINARY ? 8 : 1;
}

constexpr int64_t ceil_div(int64_t a, int64_t b) { return a / b + (a % b != 0); }

constexpr int64_t packed_size(lowbit_format format, int64_t count) { return ceil_div(count, codes_per_byte(format)); }

// The bits of code `index` in packed bytes: int8 two's complement, ternary code + 1, binary (code + 1) / 2;
// as the code.
constexpr int packed_code(const uint8_t* packed, lowbit_format format, int64_t index) {
  switch (format) {
    case LOWBIT_TERNARY:
      return ((packed[index / 4] >> (2 * (index % 4))) & 3) - 1;
    case LOWBIT_BINARY:
      return ((packed[index / 8] >> (index % 8)) & 1) * 2 - 1;
    default:
      return static_cast<int8_t>(packed[index]);
  }
}

// Writes code `index` into bytes that were zero.
constexpr void put_packed_code(uint8_t* packed, lowbit_format format, int64_t index, int code) {
  switch (format) {
    case LOWBIT_TERNARY:
      packed[index / 4] |= static_cast<uint8_t>((code + 1) << (2 * (index % 4)));
      break;
    case LOWBIT_BINARY:
      packed[index / 8] |= static_cast<uint8_t>((code > 0) << (index % 8));
      break;
    default:
      packed[index] = static_cast<uint8_t>(code);
  }
}

}  // namespace lowbit::core
