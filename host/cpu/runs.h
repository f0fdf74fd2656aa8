// A tensor's values in order, though its rows may lie apart.
#pragma once

#include "operations.h"

namespace lowbit::core::LOWBIT_ISA {

// Whether all of them lie side by side.
inline bool is_one_run(const Tensor& tensor) {
  return tensor.row_stride == row_length(tensor) || row_count(tensor) == 1;
}

// Calls `body(address, i, length)` for each run, values i .. i + length - 1 of the `count` from `first` on, those of a
// row; `row_of(j)` is the address of the tensor's row j.
template <typename RowOf, typename Body>
void for_runs(int64_t row_length, RowOf row_of, int64_t first, int64_t count, Body body) {
  for (int64_t i = 0; i < count;) {
    const int64_t at = (first + i) % row_length;
    const int64_t length = row_length - at < count - i ? row_length - at : count - i;
    body(row_of((first + i) / row_length) + at, i, length);
    i += length;
  }
}

}  // namespace lowbit::core::LOWBIT_ISA
