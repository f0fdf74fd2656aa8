// lowrank_projection for many rows by matrix instructions, which take bytes in an order of their own: blocks of panels
// are made such bytes in scratch, once for up to 1024 rows (128 where K takes several blocks). What a block lacks of whole units
// stays as it was: activations are 0 there.
#include "cpu/lowrank_projection.h"

namespace lowbit::core::LOWBIT_ISA {
namespace {

template <typename PanelType>
class Expanded : public InScratch<PanelType> {
 public:
  using Panel = PanelType;
  Expanded(const uint8_t* first, int64_t bytes, int64_t panels, uint8_t* scratch)
      : InScratch<Panel>(panels, scratch), first_(first), from_bytes_(bytes) {}

  void prepare(int64_t k, int64_t length) {
    this->set_length(length);
    for (int64_t p = 0; p < this->panels_; ++p) {
      expand(first_ + p * from_bytes_ + k / word_codes(kFormat) * kPanelStepBytes, length, this->room(p));
      arrange(this->room(p), this->bytes_);
    }
  }

 private:
  static constexpr lowbit_format kFormat = Panel::kFormat;

  static void expand(const uint8_t* from, int64_t length, uint8_t* to) {
    constexpr int kWords = static_cast<int>(codes_per_byte(kFormat));
    for (; length > 0; length -= 4 * kWords, from += kPanelStepBytes) {
      for (int j = 0; j < kWords; ++j, to += kPanelStepBytes) {
        for (int64_t at = 0; at < kPanelStepBytes; at += static_cast<int64_t>(sizeof(Vector))) {
          store(to + at, operand<kFormat, Panel::kSigned>(steps<kFormat>(load(from + at), j)));
        }
      }
    }
  }

  const uint8_t* first_;
  int64_t from_bytes_;  // from a panel to the next
};

}  // namespace

Status lowrank_projection_tiles(Stream& stream, const LowrankProjection& op) {
  return with_formats(op.weight->format(), op.input.format, [&]<lowbit_format W, bool kSigned>() {
    return project<Expanded<Unpacked<W, kSigned>>>(stream, op);
  });
}

}  // namespace lowbit::core::LOWBIT_ISA
