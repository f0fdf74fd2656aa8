// lowrank_projection over panels of 64 columns, as they lie. A step's words are read once for a tile of rows, in their
// packed form, and taken apart in registers: the shifts run beside the products, so even many rows gain nothing from
// codes that were made bytes before. Few rows: bytes read / read speed. Many: products / (lanes x 4 x clock x 1 or 2).
#include "cpu/lowrank_projection.h"

namespace lowbit::core::LOWBIT_ISA {
namespace {

template <typename PanelType>
class InPlace {
 public:
  using Panel = PanelType;
  static constexpr bool kHasScratch = false;
  InPlace(const uint8_t* first, int64_t bytes, int64_t, uint8_t*) : first_(first), bytes_(bytes) {}
  void prepare(int64_t, int64_t) const {}
  const uint8_t* block(int64_t p, int64_t k) const {
    return first_ + p * bytes_ + k / word_codes(Panel::kFormat) * kPanelStepBytes;
  }

 private:
  const uint8_t* first_;
  int64_t bytes_;  // from a panel to the next
};

}  // namespace

Status lowrank_projection(Stream& stream, const LowrankProjection& op) {
  return with_formats(op.weight->format(), op.input.format, [&]<lowbit_format W, bool kSigned>() {
    return project<InPlace<Packed<W, kSigned>>>(stream, op);
  });
}

}  // namespace lowbit::core::LOWBIT_ISA
