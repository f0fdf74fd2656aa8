// Register tiles: R rows of activations times V vectors of columns of a panel, summed over a run of words in registers.
// Per word, V vectors are read once for all rows and R activations are broadcast.
#pragma once

#include <algorithm>
#include <utility>

#include "cpu/isa.h"

namespace lowbit::core::LOWBIT_ISA {

// A panel as it lies in panel64: kWords words' worth of codes in the bits of one.
template <lowbit_format W, bool kSignedActivations>
struct Packed {
  static constexpr lowbit_format kFormat = W;
  static constexpr bool kSigned = kSignedActivations;
  static constexpr int kWords = static_cast<int>(codes_per_byte(W));
  static constexpr int64_t kBytes = kPanelStepBytes;
  // Word j of a unit, of the columns from vector * kLanes on.
  static Vector word(const uint8_t* panel, int vector, int j) {
    return operand<W, kSigned>(steps<W>(load(panel + vector * static_cast<int>(sizeof(Vector))), j));
  }
};

// A panel whose codes are bytes already, as dot() wants them.
template <lowbit_format W, bool kSignedActivations>
struct Unpacked {
  static constexpr lowbit_format kFormat = W;
  static constexpr bool kSigned = kSignedActivations;
  static constexpr int kWords = kFold<W>;
  static constexpr int64_t kBytes = kWords * kPanelStepBytes;
  static Vector word(const uint8_t* panel, int vector, int j) {
    return load(panel + j * kPanelStepBytes + vector * static_cast<int>(sizeof(Vector)));
  }
};

// Steps of K in a unit of a panel.
template <typename Panel>
constexpr int64_t kUnit = 4 * Panel::kWords;

// Products of offset codes that 32 bits can sum: 255 * 255 * 32768 < 2^31.
constexpr int64_t kMostSteps = 32768;

}  // namespace lowbit::core::LOWBIT_ISA

#if defined(LOWBIT_OWN_TILES)
#include LOWBIT_OWN_TILES
#else

namespace lowbit::core::LOWBIT_ISA {

// What a thread holds while it runs tiles: of vector registers, nothing.
struct TileSession {};

// Puts a block of an Unpacked panel into the order that tiles want: that of panel64.
inline void arrange(uint8_t*, int64_t) {}

// Calls `body` with the constants 0 to N - 1. A plain loop is unrolled too late for g++ 12, which then moves every sum
// from register to register (67 moves for 24 products, half the speed); so is what it inlines late.
template <int N, typename Body>
LOWBIT_INLINE inline void unrolled(Body body) {
  [&]<int... i>(std::integer_sequence<int, i...>) LOWBIT_INLINE { (body(std::integral_constant<int, i>()), ...); }
  (std::make_integer_sequence<int, N>());
}

// sums[r * 64 + column], from a unit's first column on, of at most kMostSteps steps.
// kFetch: passes over the other columns will follow, so the whole panel is wanted in the cache.
template <typename Panel, int R, int V, bool kFetch>
void tile(const uint8_t* panel, int64_t units, const uint8_t* activations, int64_t stride, int32_t* sums) {
  constexpr lowbit_format W = Panel::kFormat;
  constexpr int kAtOnce = std::min(kFold<W>, Panel::kWords);
  constexpr bool kRowByRow = V * kAtOnce <= R;  // registers hold the words meanwhile; else the activations
  Vector sum[R][V];
  unrolled<R * V>([&](auto i) LOWBIT_INLINE { sum[i / V][i % V] = zero(); });
  for (int64_t u = 0; u < units; ++u) {
    if constexpr (kFetch) {
      constexpr int64_t kAhead = 4096;  // by itself the memory would be read one line in several, at half its speed
      for (int64_t at = 0; at < Panel::kBytes; at += 64) __builtin_prefetch(panel + kAhead + at);
    }
    unrolled<Panel::kWords / kAtOnce>([&](auto run) LOWBIT_INLINE {
      Vector words[V][kAtOnce];
      unrolled<R * V>([&](auto i) LOWBIT_INLINE {
        constexpr int r = kRowByRow ? i / V : i % R, v = kRowByRow ? i % V : i / R;
        if constexpr (r == 0) {
          unrolled<kAtOnce>([&](auto j) LOWBIT_INLINE { words[v][j] = Panel::word(panel, v, run * kAtOnce + j); });
        }
        sum[r][v] = dot<W, Panel::kSigned>(sum[r][v], words[v], activations + r * stride);
      });
      activations += 4 * kAtOnce * kActivationBytes<W>;
    });
    panel += Panel::kBytes;
  }
  unrolled<R * V>([&](auto i)
                      LOWBIT_INLINE { store(sums + i / V * kPanelColumns + i % V * kLanes, sum[i / V][i % V]); });
}

// The same for 1 to kTileRows rows and the panel's 64 columns.
template <typename Panel, int R = kTileRows>
void tile_panel(int64_t rows, const uint8_t* panel, int64_t units, const uint8_t* activations, int64_t stride,
                int32_t* sums) {
  if constexpr (R > 1) {
    if (rows < R) return tile_panel<Panel, R - 1>(rows, panel, units, activations, stride, sums);
  }
  // Fewer rows take more columns at once: products of few sums wait for each other.
  constexpr int kVectors = kTileVectors[R - 1], kPasses = static_cast<int>(kPanelColumns) / kLanes / kVectors;
  tile<Panel, R, kVectors, (kPasses > 1)>(panel, units, activations, stride, sums);
  for (int pass = 1; pass < kPasses; ++pass) {
    constexpr int kColumns = kVectors * kLanes;
    tile<Panel, R, kVectors, false>(panel + pass * 4 * kColumns, units, activations, stride, sums + pass * kColumns);
  }
}

}  // namespace lowbit::core::LOWBIT_ISA

#endif
