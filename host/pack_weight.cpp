#include "call.h"
#include "kernel_table.h"

using namespace lowbit::core;

namespace {

using Args = lowbit_pack_weight_args;

std::array<Operand, 3> operands(Args& a) {
  return {{{"input", &a.input, false}, {"packed", &a.packed, true}, {"scales", &a.scales, true}}};
}

// Matrices of K x N.
WeightShape shape(const Args& a) {
  const int64_t K = a.input.shape[a.input.rank - 2];
  return {row_count(a.input) / K, K, row_length(a.input)};
}

Status validate(const Validator& check, const Device&, Args& a) {
  LOWBIT_TRY(check.member("format", a.format, {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY}));
  LOWBIT_TRY(check.member("rule", a.rule, {LOWBIT_ABSMAX, LOWBIT_ABSMEAN}));
  LOWBIT_TRY(check.member("group", a.group, {LOWBIT_PER_TENSOR, LOWBIT_PER_CHANNEL}));
  LOWBIT_TRY(check.tensor("input", &a.input, {LOWBIT_TYPE_F32}, 2, 4));
  const auto [matrices, K, N] = shape(a);
  LOWBIT_TRY(check.flat("packed", &a.packed, LOWBIT_TYPE_U8, packed_size(a.format, matrices * K * N)));
  return check.flat("scales", &a.scales, LOWBIT_TYPE_F32, a.group == LOWBIT_PER_CHANNEL ? matrices * N : 1);
}

Status enqueue(Stream& on, const Args& a) {
  const auto [matrices, K, N] = shape(a);
  return run(on, {LOWBIT_PACK_WEIGHT, {}, a.format, {}},
             PackWeight{a.input, a.packed, a.scales, a.format, a.rule, a.group == LOWBIT_PER_CHANNEL, matrices, K, N});
}

}  // namespace

lowbit_status lowbit_pack_weight(lowbit_stream* stream, const lowbit_pack_weight_args* args) {
  return call("pack_weight", stream, args, operands, validate, enqueue);
}
