#include "quantize_pack.h"

namespace lowbit::core {

RowGroups row_groups(const Tensor& tensor, lowbit_group group) {
  const int64_t rows = row_count(tensor);
  switch (group) {
    case LOWBIT_PER_TENSOR:
      return {.count = 1, .rows = rows, .tokens = 1};
    case LOWBIT_PER_TOKEN_ALL_HEADS: {
      const int64_t B = tensor.shape[0], H = tensor.shape[1], T = tensor.shape[2];
      return {.count = B * T, .rows = H, .tokens = T};
    }
    default:
      return {.count = rows, .rows = 1, .tokens = rows};
  }
}

Status quantize_pack(Stream& stream, const QuantizePack& op) {
  return run(stream, {LOWBIT_QUANTIZE_PACK, op.format, {}, {}}, op);
}

}  // namespace lowbit::core

using namespace lowbit::core;

namespace {

using Args = lowbit_quantize_pack_args;

std::array<Operand, 3> operands(Args& a) {
  return {{{"input", &a.input, false}, {"codes", &a.codes, true}, {"scales", &a.scales, true}}};
}

Status validate(const Validator& check, const Device&, Args& a) {
  LOWBIT_TRY(check.member("format", a.format, {LOWBIT_INT8, LOWBIT_INT4, LOWBIT_UINT8}));
  LOWBIT_TRY(check.member("rule", a.rule, {LOWBIT_ABSMAX, LOWBIT_ABSMEAN}));
  LOWBIT_TRY(check.member("group", a.group, {LOWBIT_PER_TENSOR, LOWBIT_PER_TOKEN, LOWBIT_PER_TOKEN_ALL_HEADS}));
  const int min_rank = a.group == LOWBIT_PER_TOKEN_ALL_HEADS ? 4 : 1;
  LOWBIT_TRY(check.tensor("input", &a.input, {LOWBIT_TYPE_F32}, min_rank, 4));
  LOWBIT_TRY(check.tensor("codes", &a.codes, {LOWBIT_TYPE_I32}, a.input.rank, a.input.rank));
  for (int axis = 0; axis + 1 < a.input.rank; ++axis) {
    LOWBIT_TRY(check.extent("codes", a.codes, axis, a.input.shape[axis], "as the input's"));
  }
  const int64_t words = ceil_div(row_length(a.input), LOWBIT_CODES_PER_WORD);
  LOWBIT_TRY(check.extent("codes", a.codes, a.codes.rank - 1, words, "words of 4 codes"));
  return check.flat("scales", &a.scales, LOWBIT_TYPE_F32, row_groups(a.input, a.group).count);
}

Status enqueue(Stream& on, const Args& a) {
  return quantize_pack(on, {a.input, a.codes, a.scales, a.format, a.rule, row_groups(a.input, a.group)});
}

}  // namespace

lowbit_status lowbit_quantize_pack(lowbit_stream* stream, const lowbit_quantize_pack_args* args) {
  return call("quantize_pack", stream, args, operands, validate, enqueue);
}
