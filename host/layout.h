// The orders in which packed weights lie in device memory. A weight is H matrices of K x N codes; a layout says at
// which code index (bits of the format each) the code of (h, k, n) stands. Rows of the kernel table name the layouts
// they read.
//
//   plain    [H][K][N]                          the portable order; the host's scalar rows read it
//   panel64  [H][N/64][K/G][64][G]              the cpu's; G = 4, 16 or 32: the codes of a 32-bit word
//   rows64   [H][K][N/64][64]                   the cpu's, where rows of K are skipped
//   panel32  [H][N/32][K/G][32][G]              CUDA's and Vulkan's
//
// N is padded to whole panels and K to whole words. Both of the cpu's layouts hold int8 codes as bytes 0 to 255, 128
// more than the code.
//
// In a word of int8, byte b is step b of K. In one of ternary or binary codes, step 4j + b has the j-th bits of byte b,
// so that a shift and a mask give the four steps 4j..4j+3 as bytes:
//
//   ternary  bits of a byte b   7 6     5 4     3 2    1 0         binary   7     6     ...  1    0
//            step               12+b    8+b     4+b    b                    28+b  24+b       4+b  b
//
// panel64 is 64 words, then those of the next steps of K: what dot products of four bytes take as they come.
//
// rows64 has the 64 columns of a row together: 64, 16 or 8 bytes. Read as bytes (ternary: the lowest 2 bits of the 16
// bytes, then the next 2 bits; binary: the lowest bit of the 8 bytes, ...) column 16v + 4i + j stands at 16i + 4v + j.
// Four rows interleaved byte by byte within each 16 bytes then give words of columns in order.
//
// panel32, for GPUs: a row of a panel is 128 bytes, 32 words. 16 bytes are the same steps of four columns, a chunk; chunk
// c of row r stands at place c ^ 2((r ^ r/4) % 4), so that lanes which read four rows at once read other banks of shared
// memory.
#pragma once

#include "codes.h"

namespace lowbit::core {

enum class Layout { plain, panel64, rows64, panel32 };
using LayoutSet = Set<Layout>;

const char* name_of(Layout layout);

// Codes of a 32-bit word: steps of K that stand side by side.
constexpr int64_t word_codes(lowbit_format format) { return 4 * codes_per_byte(format); }
// Where step k stands in its word, in codes.
constexpr int64_t place_in_word(lowbit_format format, int64_t k) {
  return format == LOWBIT_INT8 ? k % 4 : k % 4 * codes_per_byte(format) + k % word_codes(format) / 4;
}

constexpr int64_t kPanelColumns = 64;        // of panel64 and rows64
constexpr int64_t kPanelStepBytes = 4 * 64;  // a word for each column of a panel64
constexpr int64_t panel64_bytes(lowbit_format format, int64_t K) {
  return ceil_div(K, word_codes(format)) * kPanelStepBytes;
}
// Bytes of 64 columns of a row of rows64.
constexpr int64_t rows64_bytes(lowbit_format format) { return kPanelColumns / codes_per_byte(format); }

constexpr int64_t kPanel32Columns = 32;
constexpr int64_t kPanel32RowBytes = 128;
// Steps of K in a warp's step through a panel: four lanes read a run of 16 steps of K or a word each.
constexpr int64_t panel32_step(lowbit_format format) { return format == LOWBIT_BINARY ? 128 : 64; }
constexpr int64_t panel32_steps(lowbit_format format, int64_t K) { return ceil_div(K, panel32_step(format)); }
// Bytes of a panel, whole steps.
constexpr int64_t panel32_bytes(lowbit_format format, int64_t K) {
  return panel32_steps(format, K) * panel32_step(format) / word_codes(format) * kPanel32RowBytes;
}
// Where chunk c of row r of a panel stands, in 16-byte chunks.
constexpr int64_t panel32_chunk(int64_t r, int64_t c) { return r * 8 + (c ^ 2 * ((r ^ r >> 2) & 3)); }

struct WeightShape {
  int64_t H, K, N;
};

constexpr int64_t panel32_index(lowbit_format format, const WeightShape& s, int64_t h, int64_t k, int64_t n) {
  const int64_t depth = word_codes(format), panel = h * ceil_div(s.N, kPanel32Columns) + n / kPanel32Columns;
  const int64_t chunk = panel32_chunk(k / depth, n % kPanel32Columns / 4);
  return panel * panel32_bytes(format, s.K) * codes_per_byte(format) + (chunk * 4 + n % 4) * depth +
         place_in_word(format, k);
}

constexpr int64_t panel64_index(lowbit_format format, const WeightShape& s, int64_t h, int64_t k, int64_t n) {
  const int64_t depth = word_codes(format), panel = h * ceil_div(s.N, kPanelColumns) + n / kPanelColumns;
  const int64_t row = panel * ceil_div(s.K, depth) + k / depth;
  return (row * kPanelColumns + n % kPanelColumns) * depth + place_in_word(format, k);
}

constexpr int64_t rows64_index(lowbit_format format, const WeightShape& s, int64_t h, int64_t k, int64_t n) {
  const int64_t bytes = rows64_bytes(format), block = (h * s.K + k) * ceil_div(s.N, kPanelColumns) + n / kPanelColumns;
  const int64_t place = n / 4 % 4 * 16 + n % 64 / 16 * 4 + n % 4;
  return block * kPanelColumns + place % bytes * codes_per_byte(format) + place / bytes;
}

// Code index of (h, k, n).
constexpr int64_t layout_index(Layout layout, lowbit_format format, const WeightShape& s, int64_t h, int64_t k,
                               int64_t n) {
  switch (layout) {
    case Layout::panel32:
      return panel32_index(format, s, h, k, n);
    case Layout::panel64:
      return panel64_index(format, s, h, k, n);
    case Layout::rows64:
      return rows64_index(format, s, h, k, n);
    default:
      return (h * s.K + k) * s.N + n;
  }
}

// Bytes of the whole weight.
constexpr int64_t layout_size(Layout layout, lowbit_format format, const WeightShape& s) {
  switch (layout) {
    case Layout::panel32:
      return s.H * ceil_div(s.N, kPanel32Columns) * panel32_bytes(format, s.K);
    case Layout::panel64:
      return s.H * ceil_div(s.N, kPanelColumns) * panel64_bytes(format, s.K);
    case Layout::rows64:
      return s.H * s.K * ceil_div(s.N, kPanelColumns) * rows64_bytes(format);
    default:
      return packed_size(format, s.H * s.K * s.N);
  }
}

// Whether int8 codes are held as bytes 0 to 255.
constexpr bool has_offset_codes(Layout layout) { return layout == Layout::panel64 || layout == Layout::rows64; }

// The code at an index of layout_index().
constexpr int layout_code(Layout layout, lowbit_format format, const uint8_t* bytes, int64_t index) {
  return format == LOWBIT_INT8 && has_offset_codes(layout) ? bytes[index] - 128 : packed_code(bytes, format, index);
}
// Writes it into bytes that were zero.
constexpr void put_layout_code(Layout layout, lowbit_format format, uint8_t* bytes, int64_t index, int code) {
  put_packed_code(bytes, format, index, format == LOWBIT_INT8 && has_offset_codes(layout) ? code + 128 : code);
}

// Rearranges portable bytes into `layout`; `out` has layout_size() bytes. Padding codes are zero bits.
void apply_layout(Layout layout, lowbit_format format, const WeightShape& s, const uint8_t* portable, uint8_t* out);

}  // namespace lowbit::core
