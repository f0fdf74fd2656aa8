// decoder_tail over rows of weights, for more than one token: blocks of weights are interleaved into panels in scratch,
// once for up to 1024 tokens (128 where K takes several blocks), and tiles run over those. A token's heads are one long sum.
#include "cpu/kernels.h"
#include "cpu/multiply.h"
#include "cpu/rows.h"

namespace lowbit::core::LOWBIT_ISA {
namespace {

template <typename PanelType>
class Gathered : public InScratch<PanelType> {
 public:
  using Panel = PanelType;
  Gathered(const WeightRows& rows, int64_t first_panel, int64_t panels, uint8_t* scratch)
      : InScratch<Panel>(panels, scratch), rows_(rows), first_panel_(first_panel) {}

  void prepare(int64_t k, int64_t length) {
    this->set_length(length);
    for (int64_t at = 0; at < this->bytes_; at += kPanelStepBytes, k += 4) {
      const uint8_t* four[4];
      rows_.four_from(k, four);
      for (int64_t p = 0; p < this->panels_; ++p) {
        panel_words<kFormat>(four, first_panel_ + p, this->room(p) + at, operand<kFormat, Panel::kSigned>);
      }
    }
    for (int64_t p = 0; p < this->panels_; ++p) arrange(this->room(p), this->bytes_);
  }

 private:
  static constexpr lowbit_format kFormat = Panel::kFormat;
  WeightRows rows_;
  int64_t first_panel_;
};

template <lowbit_format W, bool kSigned>
Status project(Stream& stream, const DecoderTail& op) {
  const Weight& w = *op.weight;
  const auto place_of = [&](int64_t token) -> RowPlace {
    return {first_row(op, token), op.input.scale_of(token), row<float>(op.output, token)};
  };
  Rows rows;
  LOWBIT_TRY((place_rows<W, kSigned>(stream, op.input, op.B * op.T, op.H, op.T, op.l, op.H == 1, place_of, &rows)));

  const int64_t tokens = op.B * op.T, depth = op.H * op.l;
  const Product product{.groups = 1,
                        .rows = tokens,
                        .panels = ceil_div(op.D, kPanelColumns),
                        .depth = depth,
                        .row_distance = 0,
                        .nanoseconds = estimate(static_cast<double>(w.packed_size()),
                                                static_cast<double>(tokens * op.D) * static_cast<double>(depth)),
                        .finish = {w.scales(), w.per_channel(), {}},
                        .columns = op.D,
                        .scale_distance = 0,
                        .output_distance = 0};
  const WeightRows weights(op, rows64_bytes(W));
  const auto source = [&](int64_t, int64_t panel, int64_t panels, uint8_t* scratch) {
    return Gathered<Unpacked<W, kSigned>>(weights, panel, panels, scratch);
  };
  return multiply(stream, product, rows, source);
}

}  // namespace

Status decoder_tail_tiles(Stream& stream, const DecoderTail& op) {
  return with_formats(op.weight->format(), op.input.format,
                      [&]<lowbit_format W, bool kSigned>() { return project<W, kSigned>(stream, op); });
}

}  // namespace lowbit::core::LOWBIT_ISA
