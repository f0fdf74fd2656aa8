#include "activations.h"

#include "quantize_pack.h"

namespace lowbit::core {
namespace {

Tensor scratch_tensor(const Location& memory, lowbit_type type, const Tensor& like, int64_t last_axis) {
  Tensor tensor = like;
  tensor.data = memory.data;
  tensor.offset = memory.offset;
  tensor.size = 0;
  tensor.type = type;
  tensor.shape[tensor.rank - 1] = tensor.row_stride = last_axis;
  return tensor;
}

}  // namespace

Status check_weight(const Validator& check, const lowbit_weight* weight, lowbit_operation operation,
                    const Device& device) {
  if (weight == nullptr) return check.fail("weight is NULL");
  if (weight->any().operation() != operation) {
    return check.fail("weight was prepared for {}", name_of(weight->any().operation()));
  }
  if (weight->device.get() != &device) return check.fail("weight was prepared on another device than the stream's");
  return {};
}

Status check_activations(const Validator& check, lowbit_activations* input) {
  LOWBIT_TRY(check.tensor("input.values", &input->values, {LOWBIT_TYPE_F32, LOWBIT_TYPE_I32}, 4, 4));
  if (is_packed(*input)) {
    LOWBIT_TRY(check.member("input.format", input->format, {LOWBIT_INT8, LOWBIT_INT4, LOWBIT_UINT8}));
    return {};
  }
  LOWBIT_TRY(check.member("input.format", input->format, {LOWBIT_INT8, LOWBIT_INT4, LOWBIT_UINT8, LOWBIT_F32}));
  LOWBIT_TRY(check.member("input.rule", input->rule, {LOWBIT_ABSMAX, LOWBIT_ABSMEAN}));
  LOWBIT_TRY(check.member("input.group", input->group, {LOWBIT_PER_TENSOR, LOWBIT_PER_TOKEN}));
  if (input->scales.data != nullptr) return check.fail("input.scales is given, but float values get their scales here");
  return {};
}

Status check_scale_count(const Validator& check, lowbit_activations* input, int64_t groups) {
  if (!is_packed(*input) || input->scales.data == nullptr) return {};
  LOWBIT_TRY(check.tensor("input.scales", &input->scales, {LOWBIT_TYPE_F32}, 1, 1));
  if (row_length(input->scales) != 1 && row_length(input->scales) != groups) {
    return check.fail("input.scales has {} elements, it must have 1 or {}", row_length(input->scales), groups);
  }
  return {};
}

int64_t box_rows(const lowbit_activations& input) {
  const Tensor& in = input.values;
  const int64_t words = is_packed(input) ? in.row_stride : ceil_div(row_length(in), LOWBIT_CODES_PER_WORD);
  const bool is_aligned = !is_packed(input) || (reinterpret_cast<uintptr_t>(in.data) + in.offset) % 16 == 0;
  if (!is_aligned || words % 4 != 0) return 0;
  return in.shape[1] == 1 ? in.shape[0] * in.shape[2] : in.shape[2];
}

Status quantized(Stream& stream, const lowbit_activations& input, lowbit_group per_token, ActivationOperand* operand) {
  *operand = {input.values, input.format, input.scales, input.scale};
  if (is_packed(input)) return {};
  if (input.format == LOWBIT_F32) {
    operand->scales = {};
    operand->scale = 1.0f;
    return {};
  }
  const RowGroups groups = row_groups(input.values, input.group == LOWBIT_PER_TENSOR ? LOWBIT_PER_TENSOR : per_token);
  const int64_t words = ceil_div(row_length(input.values), LOWBIT_CODES_PER_WORD);
  const QuantizedSize size(row_count(input.values), row_length(input.values), groups.count);
  Location codes, scales;
  LOWBIT_TRY(stream.scratch(size.codes, &codes));
  LOWBIT_TRY(stream.scratch(size.scales, &scales));
  operand->values = scratch_tensor(codes, LOWBIT_TYPE_I32, input.values, words);
  operand->scales = {.data = scales.data,
                     .offset = scales.offset,
                     .shape = {groups.count},
                     .row_stride = groups.count,
                     .rank = 1,
                     .type = LOWBIT_TYPE_F32};
  return quantize_pack(stream, {input.values, operand->values, operand->scales, input.format, input.rule, groups});
}

}  // namespace lowbit::core
