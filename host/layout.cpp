#include "layout.h"

#include <algorithm>
#include <iterator>

namespace lowbit::core {

const char* name_of(Layout layout) {
  constexpr const char* kNames[] = {"plain", "panel64", "rows64", "panel32"};
  return kNames[static_cast<int>(layout)];
}

void apply_layout(Layout layout, lowbit_format format, const WeightShape& s, const uint8_t* portable, uint8_t* out) {
  if (layout == Layout::plain) {
    std::copy_n(portable, layout_size(layout, format, s), out);
    return;
  }
  std::fill_n(out, layout_size(layout, format, s), uint8_t{0});
  for (int64_t h = 0, from = 0; h < s.H; ++h) {
    for (int64_t k = 0; k < s.K; ++k) {
      for (int64_t n = 0; n < s.N; ++n, ++from) {
        put_layout_code(layout, format, out, layout_index(layout, format, s, h, k, n),
                        packed_code(portable, format, from));
      }
    }
  }
}

}  // namespace lowbit::core
