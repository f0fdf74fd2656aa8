// Activations made ready for the tiles of panel.h and panel_f32.h, in scratch.
#pragma once

#include <optional>

#include "cpu/avx2/panel.h"
#include "device.h"
#include "operations.h"

namespace lowbit::core::avx2 {

// Rows of codes as int16 pairs; row r starts at pairs + r * stride. Codes past the row's length count as 0.
struct SpreadRows {
  const int32_t* pairs;
  int64_t stride;      // int32 from a row to the next
  const int64_t* sum;  // of each row's codes
};

// `length` codes of every row of `activations`, for weights of format `weights`.
Status spread(Stream& stream, const ActivationOperand& activations, int64_t length, lowbit_format weights,
              SpreadRows* rows);

// Rows of floats as doubles, padded with 0 to whole groups of 8.
struct WideRows {
  const double* values;
  int64_t stride;
};
Status widen(Stream& stream, const ActivationOperand& activations, int64_t length, WideRows* rows);

// out[i] = sums[i] * (scale_activation * the weight scale of output column + i), thresholded, for i < count.
struct Epilogue {
  const float* scale_weight;
  bool per_channel;
  float scale_activation;
  std::optional<float> threshold;
  void operator()(const float* sums, int64_t column, int64_t count, float* out) const;
};

}  // namespace lowbit::core::avx2
