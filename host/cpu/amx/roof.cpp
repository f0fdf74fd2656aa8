#include <immintrin.h>

#include <cstring>

#include "cpu/roof.h"

namespace lowbit::core::amx {
namespace {

struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

}  // namespace

int64_t multiply_adds(int64_t rounds) {
  constexpr int kChains = 6;  // of eight tiles, two of which are operands
  const TileConfig config;
  asm volatile("" : : "m"(config));  // all of it is in memory: gcc 12 thinks that only 8 bytes are read
  _tile_loadconfig(&config);         // tiles are zero after it
  alignas(64) int8_t codes[16 * 64];
  std::memset(codes, 3, sizeof(codes));
  _tile_loadd(6, codes, 64);
  _tile_loadd(7, codes, 64);
  for (int64_t i = 0; i < rounds; ++i) {
    _tile_dpbssd(0, 6, 7);
    _tile_dpbssd(1, 6, 7);
    _tile_dpbssd(2, 6, 7);
    _tile_dpbssd(3, 6, 7);
    _tile_dpbssd(4, 6, 7);
    _tile_dpbssd(5, 6, 7);
  }
  _tile_release();
  return rounds * kChains * 16 * 16 * 64;
}

}  // namespace lowbit::core::amx
