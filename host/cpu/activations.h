// Activations made ready for dot(): rows of codes in one piece, padded with 0 to whole panels' units, and the sum of each
// row, by which products with offset codes are put right. The caller's rows serve where they are that already.
#pragma once

#include <algorithm>
#include <cstring>

#include "cpu/isa.h"
#include "cpu/machine.h"
#include "cpu/with_format.h"
#include "device.h"
#include "operations.h"

namespace lowbit::core::LOWBIT_ISA {

// What the sums of a row become.
struct RowResult {
  int64_t sum;  // of the row's codes
  float scale;
  float* out;
};

struct Rows {
  const uint8_t* codes;
  int64_t stride;  // bytes
  const RowResult* results;
};

// Of a whole number of panels' columns of codes. Bytes are added in pairs of a 64-bit word's 16-bit lanes.
template <bool kSigned>
int64_t sum_of(const uint8_t* codes, int64_t count) {
  constexpr uint64_t kLow = 0x00ff00ff00ff00ff, kSign = kSigned ? 0x8080808080808080 : 0;
  constexpr int64_t kRun = 64 * kPanelColumns;  // at most 128 bytes to a lane
  constexpr int64_t kWords = kPanelColumns / 8;
  int64_t sum = kSigned ? -128 * count : 0;
  for (int64_t i = 0; i < count; i += kRun) {
    uint64_t lanes[kWords] = {};
    for (int64_t j = i; j < std::min(count, i + kRun); j += kPanelColumns) {
      uint64_t words[kWords];
      std::memcpy(words, codes + j, sizeof(words));
      for (int64_t w = 0; w < kWords; ++w) {
        const uint64_t word = words[w] ^ kSign;
        lanes[w] += (word & kLow) + (word >> 8 & kLow);
      }
    }
    for (uint64_t lane : lanes) {
      for (; lane != 0; lane >>= 16) sum += static_cast<int64_t>(lane & 0xffff);
    }
  }
  return sum;
}

// Where a row comes from, and what its sums become.
struct RowPlace {
  int64_t first;  // of the operand's rows
  float scale;
  float* out;
};

// `count` rows: row r is the first `length` codes of each of `segments` rows of the operand, from place_of(r).first on,
// `distance` rows apart. `in_order` says that place_of(r).first is r.
template <lowbit_format W, bool kSigned, typename PlaceOf>
Status place_rows(Stream& stream, const ActivationOperand& operand, int64_t count, int64_t segments, int64_t distance,
                  int64_t length, bool in_order, PlaceOf place_of, Rows* rows) {
  constexpr int64_t kBytes = kActivationBytes<W>;
  const int64_t depth = segments * length, padded = ceil_div(depth, kPanelColumns) * kPanelColumns;
  const auto* const given = row<uint8_t>(operand.values, 0);
  const int64_t distance_given = 4 * operand.values.row_stride;
  // Many rows of a tile may lie so that they share a cache line's place: they had better be copied.
  const bool in_place = kBytes == 1 && kTileRows <= 8 && in_order && segments == 1 && padded == depth;
  // Of copies no power of two, for the same reason.
  const int64_t stride = in_place ? distance_given : padded * kBytes + 64;
  const int parts = cpu::parts_for(stream, count, 0.1 * static_cast<double>(count * padded));
  Location codes, results, spare;
  if (!in_place) LOWBIT_TRY(stream.scratch(static_cast<size_t>(count * stride), &codes));
  LOWBIT_TRY(stream.scratch(static_cast<size_t>(count) * sizeof(RowResult), &results));
  if (kBytes > 1) LOWBIT_TRY(stream.scratch(static_cast<size_t>(parts * padded), &spare));
  cpu::for_parts(parts, count, [&](int part, int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      const RowPlace where = place_of(r);
      if (in_place) {
        results.as<RowResult>()[r] = {sum_of<kSigned>(given + r * stride, depth), where.scale, where.out};
        continue;
      }
      uint8_t* const placed = codes.as<uint8_t>() + r * stride;
      uint8_t* const bytes = kBytes > 1 ? spare.as<uint8_t>() + part * padded : placed;
      for (int64_t s = 0; s < segments; ++s) {
        const uint8_t* const from = given + (where.first + s * distance) * distance_given;
        std::memcpy(bytes + s * length, from, static_cast<size_t>(length));
      }
      std::memset(bytes + depth, 0, static_cast<size_t>(padded - depth));
      results.as<RowResult>()[r] = {sum_of<kSigned>(bytes, padded), where.scale, where.out};
      if constexpr (kBytes > 1) {
        for (int64_t i = 0; i < padded; i += kPanelColumns) place<W, kSigned>(bytes + i, placed + i * kBytes);
      }
    }
  });
  *rows = {in_place ? given : codes.as<uint8_t>(), stride, results.as<RowResult>()};
  return {};
}

// Calls `body.operator()<W, kSigned>()` for the formats of a projection of codes.
template <typename Body>
Status with_formats(lowbit_format weights, lowbit_format activations, Body body) {
  return with_format(weights, [&]<lowbit_format W>() {
    return activations == LOWBIT_UINT8 ? body.template operator()<W, false>() : body.template operator()<W, true>();
  });
}

}  // namespace lowbit::core::LOWBIT_ISA
