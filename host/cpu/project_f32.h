// Projections of float activations, in float64. Every output adds its terms one after the other, as the reference does,
// so even this `bounded` operation gives the reference's bits. The codes of four steps of K are made doubles once for
// all rows; the sums stay in the first-level cache.
#pragma once

#include "cpu/epilogue.h"
#include "cpu/machine.h"
#include "cpu/rows.h"
#include "cpu/with_format.h"

namespace lowbit::core::LOWBIT_ISA {

// The codes of steps k..k+3 for a panel's columns.
template <lowbit_format W>
struct FourSteps {
  double codes[4][kPanelColumns];

  // Words of four bytes each, a column's.
  void set(const uint32_t (&words)[kPanelColumns]) {
    constexpr int kStored = W == LOWBIT_INT8 ? 128 : 1;
    for (int j = 0; j < 4; ++j) {
      for (int n = 0; n < kPanelColumns; ++n) {
        codes[j][n] = kFactor<W> * static_cast<int>(words[n] >> (8 * j) & 255) - kStored;
      }
    }
  }
};

// `rows` x 64 outputs. words(k, to) has the words of steps k..k+3, value(r, k) the activations; store(r, sums) takes the
// results.
template <lowbit_format W, typename Words, typename Value, typename Store>
void project_panel(int64_t rows, int64_t depth, Words words, Value value, Store store) {
  constexpr int64_t kRows = 8;
  for (int64_t first = 0; first < rows; first += kRows) {
    const int64_t count = std::min(kRows, rows - first);
    double sums[kRows][kPanelColumns] = {};
    for (int64_t k = 0; k < depth; k += 4) {
      alignas(64) uint32_t four[kPanelColumns];
      words(k, four);
      FourSteps<W> steps;
      steps.set(four);
      const auto valid = static_cast<int>(std::min<int64_t>(4, depth - k));
      for (int64_t r = 0; r < count; ++r) {
        for (int j = 0; j < valid; ++j) {
          const double a = value(first + r, k + j);
          for (int n = 0; n < kPanelColumns; ++n) sums[r][n] += a * steps.codes[j][n];
        }
      }
    }
    for (int64_t r = 0; r < count; ++r) store(first + r, sums[r]);
  }
}

}  // namespace lowbit::core::LOWBIT_ISA
