// Activations made ready for dot(), in scratch: rows of codes in one piece, padded with 0 to whole panels' units, and the
// sum of each row, by which products with offset codes are put right.
#pragma once

#include <algorithm>
#include <cstring>

#include "cpu/isa.h"
#include "cpu/machine.h"
#include "device.h"
#include "operations.h"

namespace lowbit::core::LOWBIT_ISA {

struct Rows {
  const uint8_t* codes;
  int64_t stride;       // bytes
  const int64_t* sums;  // of each row's codes
};

template <bool kSigned>
int64_t sum_of(const uint8_t* codes, int64_t count) {
  using Code = std::conditional_t<kSigned, int8_t, uint8_t>;
  constexpr int64_t kRun = 1 << 16;  // whose sum fits in 32 bits
  int64_t sum = 0;
  for (int64_t i = 0; i < count; i += kRun) {
    int32_t part = 0;
    for (int64_t j = i; j < std::min(count, i + kRun); ++j) part += static_cast<Code>(codes[j]);
    sum += part;
  }
  return sum;
}

// `count` rows: row r is the first `length` codes of each of `segments` rows of the operand, from first_row(r) on,
// `distance` rows apart.
template <lowbit_format W, bool kSigned, typename FirstRow>
Status place_rows(Stream& stream, const ActivationOperand& operand, int64_t count, int64_t segments, int64_t distance,
                  int64_t length, FirstRow first_row, Rows* rows) {
  constexpr int64_t kBytes = kActivationBytes<W>;
  const int64_t depth = segments * length, padded = ceil_div(depth, kPanelColumns) * kPanelColumns;
  const int64_t stride = padded * kBytes + 64;  // no power of two, whose multiples would share a cache line's place
  const int parts = cpu::parts_for(stream, count, 0.1 * static_cast<double>(count * padded));
  Location codes, sums, spare;
  LOWBIT_TRY(stream.scratch(static_cast<size_t>(count * stride), &codes));
  LOWBIT_TRY(stream.scratch(static_cast<size_t>(count) * sizeof(int64_t), &sums));
  if (kBytes > 1) LOWBIT_TRY(stream.scratch(static_cast<size_t>(parts * padded), &spare));
  cpu::for_parts(parts, count, [&](int part, int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      uint8_t* const placed = codes.as<uint8_t>() + r * stride;
      uint8_t* const bytes = kBytes > 1 ? spare.as<uint8_t>() + part * padded : placed;
      for (int64_t s = 0; s < segments; ++s) {
        const auto* from =
            row<uint8_t>(operand.values, 0) + 4 * operand.values.row_stride * (first_row(r) + s * distance);
        std::memcpy(bytes + s * length, from, static_cast<size_t>(length));
      }
      std::memset(bytes + depth, 0, static_cast<size_t>(padded - depth));
      sums.as<int64_t>()[r] = sum_of<kSigned>(bytes, padded);
      if constexpr (kBytes > 1) {
        for (int64_t i = 0; i < padded; i += kPanelColumns) place<W, kSigned>(bytes + i, placed + i * kBytes);
      }
    }
  });
  *rows = {codes.as<uint8_t>(), stride, sums.as<int64_t>()};
  return {};
}

// Calls `body.operator()<W, kSigned>()` for the formats of a projection of codes.
template <typename Body>
Status with_formats(lowbit_format weights, lowbit_format activations, Body body) {
  const auto with_sign = [&]<lowbit_format W>() {
    return activations == LOWBIT_UINT8 ? body.template operator()<W, false>() : body.template operator()<W, true>();
  };
  switch (weights) {
    case LOWBIT_TERNARY:
      return with_sign.template operator()<LOWBIT_TERNARY>();
    case LOWBIT_BINARY:
      return with_sign.template operator()<LOWBIT_BINARY>();
    default:
      return with_sign.template operator()<LOWBIT_INT8>();
  }
}

}  // namespace lowbit::core::LOWBIT_ISA
