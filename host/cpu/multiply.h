// Products of rows of activations and panels of weights. A task is a run of panels that fits in half of the second-level
// cache and a block of rows: each tile of rows passes over all the run's panels before the next, so that outputs are
// written along their rows. Longer sums are cut into blocks of K and carried in 64 bits, so no depth is too long.
#pragma once

#include <algorithm>

#include "cpu/activations.h"
#include "cpu/epilogue.h"
#include "cpu/tile.h"

namespace lowbit::core::LOWBIT_ISA {

// `groups` products of `rows` x 64 `panels` outputs, each the sum of `depth` steps.
struct Product {
  int64_t groups, rows, panels, depth;
  int64_t row_distance;                     // from a group's rows to the next's; 0 where they share them
  double nanoseconds;                       // that one thread may take, to decide on threads
  Epilogue finish;                          // of the first group
  int64_t columns;                          // outputs wanted of a row
  int64_t scale_distance, output_distance;  // from a group's scales and outputs to the next's
};

// Of a thread: 20 bytes or 200 multiply-adds a nanosecond.
inline double estimate(double bytes, double multiply_adds) { return std::max(bytes / 20, multiply_adds / 200); }

// Steps of K in a block: 64 columns of codes in a quarter of the second-level cache, and sums that fit in 32 bits.
inline int64_t block_depth() {
  const int64_t steps = cpu::caches().level2 / 4 / kPanelColumns;
  return std::clamp<int64_t>(steps / kPanelColumns * kPanelColumns, 1024, kMostSteps);
}

// How a product is cut.
struct Cut {
  int64_t depth;      // of a block
  int64_t rows, run;  // rows and panels of a task
  int64_t row_blocks, runs;
  int parts;
  int64_t panel_bytes, partial_bytes;  // scratch of a part: of a panel's block of bytes, and for sums of several blocks

  Cut(const Stream& stream, const Product& p)
      : depth(std::min(block_depth(), p.depth)),
        panel_bytes(ceil_div(depth, kPanelColumns) * kPanelColumns * kPanelColumns) {
    // The fewer the rows, the less room for sums of several blocks; the more, the less often a source makes its panels.
    const int64_t most_rows = depth == p.depth ? 1024 : 128, pieces = p.groups * ceil_div(p.rows, 128) * p.panels;
    parts = cpu::parts_for(stream, pieces, p.nanoseconds);
    const int64_t fit = cpu::caches().level2 / 2 / panel_bytes;
    run = std::clamp<int64_t>(std::min(fit, ceil_div(pieces, parts)), 1, p.panels);
    runs = ceil_div(p.panels, run);
    rows = std::min(most_rows, ceil_div(p.rows, ceil_div(parts, p.groups * runs)));
    row_blocks = ceil_div(p.rows, rows);
    partial_bytes = depth == p.depth ? 0 : rows * run * kPanelColumns * static_cast<int64_t>(sizeof(int64_t));
  }
};

// A task: rows [first, last), counted among the placed ones, and `panels` panels of the source. Calls
// finish(row, count, p, sums, distance) for rows row.. of panel p: their sums, of either width and `distance` apart, are
// those of products with offset codes.
template <typename Source, typename Finish>
void multiply_task(Source source, const Rows& rows, int64_t first, int64_t last, int64_t panels, int64_t depth,
                   int64_t block, int64_t* partial, Finish finish) {
  using Panel = typename Source::Panel;
  const int64_t tiles = ceil_div(last - first, kTileRows);
  for (int64_t k = 0; k < depth; k += block) {
    const int64_t length = std::min(block, depth - k), units = ceil_div(length, kUnit<Panel>);
    source.prepare(k, length);
    for (int64_t t = 0; t < tiles; ++t) {
      const int64_t r = first + (last - first) * t / tiles, count = first + (last - first) * (t + 1) / tiles - r;
      const uint8_t* const codes = rows.codes + r * rows.stride + k * kActivationBytes<Panel::kFormat>;
      for (int64_t p = 0; p < panels; ++p) {
        alignas(64) int32_t sums[kTileRows][kPanelColumns];
        tile_panel<Panel>(count, source.block(p, k), units, codes, rows.stride, sums[0]);
        if (length == depth) {
          finish(r, count, p, sums[0], kPanelColumns);
          continue;
        }
        int64_t* const totals = partial + ((r - first) * panels + p) * kPanelColumns;
        for (int64_t i = 0; i < count; ++i) {
          int64_t* const total = totals + i * panels * kPanelColumns;
          for (int n = 0; n < kPanelColumns; ++n) total[n] = (k == 0 ? 0 : total[n]) + sums[i][n];
        }
        if (k + length == depth) finish(r, count, p, static_cast<const int64_t*>(totals), panels * kPanelColumns);
      }
    }
  }
}

// make_source(group, panel, panels, scratch) makes the source of `panels` panels from `panel` on: its prepare(k, length)
// readies the steps k.. of them, of which block(p, k) then has panel p's.
template <typename MakeSource>
Status multiply(Stream& stream, const Product& p, const Rows& rows, MakeSource make_source) {
  using Source = decltype(make_source(int64_t{}, int64_t{}, int64_t{}, nullptr));
  const Cut cut(stream, p);
  const int64_t scratch_bytes = cut.partial_bytes + (Source::kHasScratch ? cut.run * cut.panel_bytes : 0);
  Location scratch;
  LOWBIT_TRY(stream.scratch(static_cast<size_t>(cut.parts * scratch_bytes), &scratch));
  cpu::for_parts(cut.parts, p.groups * cut.row_blocks * cut.runs, [&](int part, int64_t first, int64_t last) {
    [[maybe_unused]] const TileSession session;
    uint8_t* const own = scratch.as<uint8_t>() + part * scratch_bytes;
    for (int64_t task = first; task < last; ++task) {
      const int64_t group = task / cut.runs / cut.row_blocks, panel = task % cut.runs * cut.run;
      const int64_t row = task / cut.runs % cut.row_blocks * cut.rows, panels = std::min(cut.run, p.panels - panel);
      const int64_t begin = group * p.row_distance + row,
                    end = group * p.row_distance + std::min(p.rows, row + cut.rows);
      Epilogue epilogue = p.finish;
      epilogue.scales += group * p.scale_distance;
      const auto finish = [=, results = rows.results, columns = p.columns, from = group * p.output_distance](
                              int64_t r, int64_t count, int64_t i, const auto* sums, int64_t distance) {
        using Panel = typename Source::Panel;
        const int64_t column = (panel + i) * kPanelColumns, width = std::min(kPanelColumns, columns - column);
        for (const RowResult *result = results + r, *const beyond = result + count; result < beyond; ++result) {
          epilogue.template operator()<kFactor<Panel::kFormat>>(
              sums, kOffset<Panel::kFormat, Panel::kSigned> * result->sum, result->scale, column, width,
              result->out + from + column);
          sums += distance;
        }
      };
      multiply_task(make_source(group, panel, panels, own + cut.partial_bytes), rows, begin, end, panels, p.depth,
                    cut.depth, reinterpret_cast<int64_t*>(own), finish);
    }
  });
  return {};
}

// A source whose panels are made of bytes in scratch, as tiles want them.
template <typename PanelType>
class InScratch {
 public:
  using Panel = PanelType;
  static constexpr bool kHasScratch = true;
  const uint8_t* block(int64_t p, int64_t) const { return scratch_ + p * bytes_; }

 protected:
  InScratch(int64_t panels, uint8_t* scratch) : panels_(panels), scratch_(scratch) {}
  // Room for `length` steps of each panel, padded to whole units.
  void set_length(int64_t length) { bytes_ = ceil_div(length, kUnit<Panel>) * Panel::kBytes; }
  uint8_t* room(int64_t p) const { return scratch_ + p * bytes_; }

  int64_t panels_, bytes_ = 0;  // bytes of a panel's block

 private:
  uint8_t* scratch_;
};

}  // namespace lowbit::core::LOWBIT_ISA
