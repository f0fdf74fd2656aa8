// The sum of a projection: exact for codes; for float activations in float64, one term after the other.
#pragma once

#include "operations.h"
#include "reference/scale.h"
#include "weight.h"

namespace lowbit::core::reference {

class Accumulator {
 public:
  explicit Accumulator(const ActivationOperand& activations) : activations_(activations) {}

  // Adds value i of the activations' row times a weight's code.
  void add(int64_t row_index, int64_t i, int weight) {
    if (activations_.format == LOWBIT_F32) {
      floats_ += static_cast<double>(row<float>(activations_.values, row_index)[i]) * weight;
    } else {
      const uint32_t word = row<uint32_t>(activations_.values, row_index)[i / 4];
      const auto byte = static_cast<uint8_t>(word >> (8 * (i % 4)));
      codes_ += int64_t{activations_.format == LOWBIT_UINT8 ? byte : static_cast<int8_t>(byte)} * weight;
    }
  }

  float rounded() const {
    return activations_.format == LOWBIT_F32 ? static_cast<float>(floats_) : static_cast<float>(codes_);
  }

 private:
  const ActivationOperand& activations_;
  int64_t codes_ = 0;
  double floats_ = 0;
};

}  // namespace lowbit::core::reference
