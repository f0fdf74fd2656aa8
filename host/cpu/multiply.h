// Rows of activations times panels of weights, block by block: a block of a panel stays in the second-level cache while
// every row meets it. Sums of more than one block are carried in 64 bits, so no depth is too long.
#pragma once

#include <algorithm>

#include "cpu/activations.h"
#include "cpu/tile.h"

namespace lowbit::core::LOWBIT_ISA {

// Rows that share the partial sums of a part.
constexpr int64_t kRowBlock = 128;

// Steps of K in a block: 64 columns of codes in a quarter of the second-level cache, and sums that fit in 32 bits.
inline int64_t block_depth() {
  const int64_t steps = cpu::caches().level2 / 4 / kPanelColumns;
  return std::clamp<int64_t>(steps / kPanelColumns * kPanelColumns, 1024, kMostSteps);
}

// Bytes of partial sums that multiply() needs.
inline int64_t partial_bytes(int64_t rows, int64_t panels, int64_t depth) {
  if (depth <= block_depth()) return 0;
  return rows * panels * kPanelColumns * static_cast<int64_t>(sizeof(int64_t));
}

// For rows [first, last) and `panels` panels of the source, whose block(p, k, length) has the steps k.. of panel p. Calls
// finish(row, p, sums), the sums of either width being raw: of products with offset codes.
template <typename Source, typename Finish>
void multiply(const Source& source, const Rows& rows, int64_t first, int64_t last, int64_t panels, int64_t depth,
              int64_t* partial, Finish finish) {
  using Panel = typename Source::Panel;
  const int64_t tiles = ceil_div(last - first, kTileRows);
  for (int64_t k = 0; k < depth; k += block_depth()) {
    const int64_t length = std::min(block_depth(), depth - k);
    const int64_t units = ceil_div(length, kUnit<Panel>);
    for (int64_t p = 0; p < panels; ++p) {
      const uint8_t* const block = source.block(p, k, length);
      for (int64_t t = 0; t < tiles; ++t) {
        const int64_t r = first + (last - first) * t / tiles, count = first + (last - first) * (t + 1) / tiles - r;
        alignas(64) int32_t sums[kTileRows * kPanelColumns];
        tile_panel<Panel>(count, block, units, rows.codes + r * rows.stride + k * kActivationBytes<Panel::kFormat>,
                          rows.stride, sums);
        for (int64_t i = 0; i < count; ++i) {
          const int32_t* const sum = sums + i * kPanelColumns;
          if (length == depth) {
            finish(r + i, p, sum);
            continue;
          }
          int64_t* const total = partial + ((r + i - first) * panels + p) * kPanelColumns;
          for (int n = 0; n < kPanelColumns; ++n) total[n] = (k == 0 ? 0 : total[n]) + sum[n];
          if (k + length == depth) finish(r + i, p, static_cast<const int64_t*>(total));
        }
      }
    }
  }
}

// Panels of panel64, read where they lie.
template <typename PanelType>
struct InPlace {
  using Panel = PanelType;
  const uint8_t* panels;
  int64_t panel_bytes;
  const uint8_t* block(int64_t p, int64_t k, int64_t) const {
    return panels + p * panel_bytes + k / word_codes(Panel::kFormat) * kPanelStepBytes;
  }
};

// Panels of panel64 whose codes are made bytes in `scratch` first: worth it where many rows meet them.
template <typename PanelType>
struct Expanded {
  using Panel = PanelType;
  InPlace<Panel> from;
  uint8_t* scratch;  // a panel's block
  const uint8_t* block(int64_t p, int64_t k, int64_t length) const {
    constexpr lowbit_format W = Panel::kFormat;
    constexpr int kWords = static_cast<int>(codes_per_byte(W));
    const uint8_t* in = from.block(p, k, length);
    uint8_t* out = scratch;
    for (int64_t left = length; left > 0; left -= 4 * kWords, in += kPanelStepBytes, out += kWords * kPanelStepBytes) {
      for (int v = 0; v < kPanelColumns / kLanes; ++v) {
        const int at = v * static_cast<int>(sizeof(Vector));
        const Vector words = load(in + at);
        for (int j = 0; j < kWords; ++j) {
          store(out + j * kPanelStepBytes + at, operand<W, Panel::kSigned>(steps<W>(words, j)));
        }
      }
    }
    arrange(scratch, out - scratch);
    return scratch;
  }
};

}  // namespace lowbit::core::LOWBIT_ISA
