#include "simulation/amx.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace lowbit::simulation {
namespace {

constexpr int kTiles = 8, kRows = 16, kRowBytes = 64;

void check(bool is_right, const char* sentence) {
  if (is_right) return;
  std::fprintf(stderr, "AMX simulation: %s\n", sentence);
  std::abort();
}

struct Tile {
  int rows, row_bytes;
  uint8_t data[kRows][kRowBytes];
};

struct TileFile {
  bool is_configured = false;
  Tile tiles[kTiles];
  ~TileFile() { check(!is_configured, "a thread ends without tilerelease"); }
};
thread_local TileFile file;

Tile& tile_at(int tile) {
  check(file.is_configured, "a tile is used before ldtilecfg");
  check(tile >= 0 && tile < kTiles, "there are tiles 0 to 7");
  check(file.tiles[tile].rows != 0, "a tile is used that has no rows");
  return file.tiles[tile];
}

}  // namespace

// Byte 0 is the palette, 1 the row to start at, 16 on the bytes of each tile's rows, 48 on how many rows.
void load_tile_config(const void* config) {
  uint8_t bytes[64];
  std::memcpy(bytes, config, sizeof(bytes));
  check(bytes[0] == 1, "the palette is not 1");
  check(bytes[1] == 0, "the first row to load or store is not 0");
  for (int i = 2; i < 16; ++i) check(bytes[i] == 0, "reserved bytes of the configuration are not 0");
  for (int t = 0; t < 16; ++t) {
    const int row_bytes = bytes[16 + 2 * t] | bytes[17 + 2 * t] << 8, rows = bytes[48 + t];
    check(rows <= kRows && row_bytes <= kRowBytes, "a tile is larger than 16 rows of 64 bytes");
    check((rows == 0) == (row_bytes == 0), "a tile has rows or columns but not both");
    check(t < kTiles || rows == 0, "there are tiles 0 to 7");
    if (t < kTiles) file.tiles[t] = Tile{rows, row_bytes, {}};
  }
  file.is_configured = true;
}

void release_tiles() { file.is_configured = false; }

void zero_tile(int tile) {
  Tile& t = tile_at(tile);
  std::memset(t.data, 0, sizeof(t.data));
}

void load_tile(int tile, const void* from, int64_t stride) {
  Tile& t = tile_at(tile);
  std::memset(t.data, 0, sizeof(t.data));
  for (int r = 0; r < t.rows; ++r) {
    std::memcpy(t.data[r], static_cast<const uint8_t*>(from) + r * stride, static_cast<size_t>(t.row_bytes));
  }
}

void store_tile(int tile, void* to, int64_t stride) {
  const Tile& t = tile_at(tile);
  for (int r = 0; r < t.rows; ++r) {
    std::memcpy(static_cast<uint8_t*>(to) + r * stride, t.data[r], static_cast<size_t>(t.row_bytes));
  }
}

void multiply_tiles(bool is_signed, int c, int a, int b) {
  Tile& sum = tile_at(c);
  const Tile &left = tile_at(a), &right = tile_at(b);
  check(a != b && a != c && b != c, "a product's tiles are not three");
  check(sum.rows == left.rows, "the rows of sums are not those of the left operand");
  check(sum.row_bytes == right.row_bytes, "the columns of sums are not those of the right operand");
  check(left.row_bytes % 4 == 0 && right.row_bytes % 4 == 0, "rows are not of whole words");
  check(left.row_bytes / 4 == right.rows, "the words of the left operand are not the rows of the right one");
  const int columns = sum.row_bytes / 4;
  int32_t wide[kRows][4][kRowBytes / 4];  // the right operand's bytes, byte by byte of a word
  for (int k = 0; k < right.rows; ++k) {
    for (int i = 0; i < right.row_bytes; ++i) wide[k][i % 4][i / 4] = right.data[k][i];
  }
  for (int m = 0; m < sum.rows; ++m) {
    uint32_t row[kRowBytes / 4];
    std::memcpy(row, sum.data[m], sizeof(row));
    for (int k = 0; k < left.row_bytes; ++k) {
      const int32_t code = is_signed ? static_cast<int8_t>(left.data[m][k]) : left.data[m][k];
      for (int n = 0; n < columns; ++n) row[n] += static_cast<uint32_t>(code * wide[k / 4][k % 4][n]);
    }
    std::memcpy(sum.data[m], row, sizeof(row));
  }
}

}  // namespace lowbit::simulation
