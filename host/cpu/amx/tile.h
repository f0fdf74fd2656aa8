// Products of up to 32 rows of activations and a panel's 64 columns in AMX tiles. A unit is 64 steps of K, of the panel
// 16 words of 64 columns:
//
//            16 columns of B: 16 words, 256 bytes apart                      registers   more than 16 rows    up to 16
//                     |  B0  |  B1  |                                        0 to 3      C00 C01 C10 C11      C0 to C3
//   16 rows of A: 64  +------+------+                                        4           A0                   A
//   codes, a stride   | C00  | C01  |  A0    and so for columns 32 to 63     5           A1                   B0, B3
//   apart             | C10  | C11  |  A1                                    6, 7        B0 B1                B1, B2
//
// A product takes 16 cycles and a load 8: two by two tiles are four of each for 32 columns, bound by the products. Rows
// 17 to 31 are done as two tiles that overlap, so that no row behind the last is read and tiles are seldom configured.
#pragma once

#include <atomic>

#include "cpu/isa.h"

namespace lowbit::core::LOWBIT_ISA {

constexpr int kTileHeight = 16;  // rows; of B, words

// What ldtilecfg reads.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {};
};
static_assert(sizeof(TileConfig) == 64);

// kTileConfigs.of[n - 1]: n rows in registers 0 to 4, all 16 in those that hold weights.
constexpr struct TileConfigs {
  TileConfig of[kTileHeight];
  constexpr TileConfigs() : of{} {
    for (int n = 1; n <= kTileHeight; ++n) {
      for (int i = 0; i < 8; ++i) of[n - 1].rows[i] = static_cast<uint8_t>(i < 5 ? n : kTileHeight);
    }
  }
} kTileConfigs;

// The tile registers of a thread: given back at the end, since they make every switch of threads dearer.
class TileSession {
 public:
  TileSession() = default;
  ~TileSession() {
    _tile_release();
    rows_ = 0;
  }
  TileSession(const TileSession&) = delete;
  TileSession& operator=(const TileSession&) = delete;

  static void configure(int rows) {
    if (rows == rows_) return;
    _tile_loadconfig(&kTileConfigs.of[rows - 1]);
    rows_ = rows;
  }

 private:
  static inline constinit thread_local int rows_ = 0;
};

// Tiles take panels as they are.
inline void arrange(uint8_t*, int64_t) {}

// A macro: the numbers of registers are part of the instruction.
#define LOWBIT_TILE_PRODUCT(c, a, b) \
  if constexpr (kSigned) {           \
    _tile_dpbsud(c, a, b);           \
  } else {                           \
    _tile_dpbuud(c, a, b);           \
  }

constexpr int kColumnBytes = 16 * 4;  // of a word of a tile's columns

inline void clear_sums() {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
}

// 16 rows from `upper` on and 16 from `lower` on, times 32 columns.
template <bool kSigned>
void tiles_2x2(const uint8_t* panel, int64_t units, const uint8_t* upper, const uint8_t* lower, int64_t stride,
               int32_t* upper_sums, int32_t* lower_sums) {
  clear_sums();
  for (int64_t u = 0; u < units; ++u) {
    _tile_loadd(6, panel, kPanelStepBytes);
    _tile_loadd(4, upper, stride);
    LOWBIT_TILE_PRODUCT(0, 4, 6)
    _tile_loadd(7, panel + kColumnBytes, kPanelStepBytes);
    LOWBIT_TILE_PRODUCT(1, 4, 7)
    _tile_loadd(5, lower, stride);
    LOWBIT_TILE_PRODUCT(2, 5, 6)
    LOWBIT_TILE_PRODUCT(3, 5, 7)
    panel += kTileHeight * kPanelStepBytes;
    upper += 64;
    lower += 64;
  }
  constexpr int kStride = kPanelColumns * sizeof(int32_t);
  _tile_stored(0, upper_sums, kStride);
  _tile_stored(1, upper_sums + 16, kStride);
  _tile_stored(2, lower_sums, kStride);
  _tile_stored(3, lower_sums + 16, kStride);
}

// As many rows as are configured, times 64 columns.
template <bool kSigned>
void tiles_1x4(const uint8_t* panel, int64_t units, const uint8_t* rows, int64_t stride, int32_t* sums) {
  clear_sums();
  for (int64_t u = 0; u < units; ++u) {
    _tile_loadd(4, rows, stride);
    _tile_loadd(5, panel, kPanelStepBytes);
    LOWBIT_TILE_PRODUCT(0, 4, 5)
    _tile_loadd(6, panel + kColumnBytes, kPanelStepBytes);
    LOWBIT_TILE_PRODUCT(1, 4, 6)
    _tile_loadd(7, panel + 2 * kColumnBytes, kPanelStepBytes);
    LOWBIT_TILE_PRODUCT(2, 4, 7)
    _tile_loadd(5, panel + 3 * kColumnBytes, kPanelStepBytes);
    LOWBIT_TILE_PRODUCT(3, 4, 5)
    panel += kTileHeight * kPanelStepBytes;
    rows += 64;
  }
  constexpr int kStride = kPanelColumns * sizeof(int32_t);
  _tile_stored(0, sums, kStride);
  _tile_stored(1, sums + 16, kStride);
  _tile_stored(2, sums + 32, kStride);
  _tile_stored(3, sums + 48, kStride);
}

#undef LOWBIT_TILE_PRODUCT

// sums[r * 64 + column] of 1 to kTileRows rows and at most kMostSteps steps.
template <typename Panel>
void tile_panel(int64_t rows, const uint8_t* panel, int64_t units, const uint8_t* activations, int64_t stride,
                int32_t* sums) {
  static_assert(Panel::kWords == kTileHeight);
  constexpr bool kSigned = Panel::kSigned;
  // g++ 12 does not know that a tile load reads memory.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (rows <= kTileHeight) {
    TileSession::configure(static_cast<int>(rows));
    return tiles_1x4<kSigned>(panel, units, activations, stride, sums);
  }
  TileSession::configure(kTileHeight);
  const int64_t lower = rows - kTileHeight;
  for (int column = 0; column < kPanelColumns; column += 32) {
    tiles_2x2<kSigned>(panel + 4 * column, units, activations, activations + lower * stride, stride, sums + column,
                       sums + lower * kPanelColumns + column);
  }
}

}  // namespace lowbit::core::LOWBIT_ISA
