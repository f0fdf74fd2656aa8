// What the two projections share: their activations and their weight.
#pragma once

#include "call.h"
#include "kernel_table.h"
#include "weight.h"

namespace lowbit::core {

// A weight of this operation that was prepared for the device.
Status check_weight(const Validator& check, const lowbit_weight* weight, lowbit_operation operation,
                    const Device& device);

// `input` as far as it can be told without the weight: types, format, rule, group, scales. `groups` is how many groups
// per_token makes of values [B, Hi, T, n].
Status check_activations(const Validator& check, lowbit_activations* input);
Status check_scale_count(const Validator& check, lowbit_activations* input, int64_t groups);

inline bool is_packed(const lowbit_activations& input) { return input.values.type == LOWBIT_TYPE_I32; }

// ProjectionSize::box_rows of `input` [B, Hi, T, n], or of the codes that quantized() will make of it.
int64_t box_rows(const lowbit_activations& input);

// Bytes of the codes and of the scales that quantized() makes of `rows` rows of n floats in `groups` groups.
struct QuantizedSize {
  QuantizedSize(int64_t rows, int64_t n, int64_t groups)
      : codes(sizeof(uint32_t) * static_cast<size_t>(rows * ceil_div(n, LOWBIT_CODES_PER_WORD))),
        scales(sizeof(float) * static_cast<size_t>(groups)) {}
  size_t codes, scales;
};

// The operand that a kernel reads: packed codes as they came, floats of format f32 as they came, other floats quantised
// into the stream's scratch. `per_token` is the grouping that per_token means for this operation.
Status quantized(Stream& stream, const lowbit_activations& input, lowbit_group per_token, ActivationOperand* operand);

}  // namespace lowbit::core
