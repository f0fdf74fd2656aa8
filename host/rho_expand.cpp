#include <algorithm>

#include "call.h"
#include "kernel_table.h"

using namespace lowbit::core;

namespace {

using Args = lowbit_rho_expand_args;

std::array<Operand, 3> operands(Args& a) {
  return {{{"packed", &a.packed, false}, {"scales", &a.scales, false}, {"output", &a.output, true}}};
}

int64_t values(const Args& a) { return row_count(a.output) * row_length(a.output); }

// Data that stops short or runs on is named by the block where it does.
Status check_size(const Validator& check, const char* name, const Tensor& tensor, int64_t needed, int64_t per_block) {
  const int64_t have = row_count(tensor) * row_length(tensor);
  if (have == needed) return {};
  return check.fail("{} has {} elements, the output needs {}: they part at block {}", name, have, needed,
                    std::min(have, needed) / per_block);
}

Status validate(const Validator& check, const Device&, Args& a) {
  LOWBIT_TRY(check.member("encoding", a.encoding, {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY}));
  LOWBIT_TRY(check.tensor("output", &a.output, {LOWBIT_TYPE_F32}, 1, 4));
  LOWBIT_TRY(check.tensor("packed", &a.packed, {LOWBIT_TYPE_U8}, 1, 4));
  LOWBIT_TRY(check.tensor("scales", &a.scales, {LOWBIT_TYPE_F32}, 1, 4));
  const int64_t bytes = packed_size(a.encoding, values(a)), blocks = ceil_div(values(a), LOWBIT_RHO_BLOCK);
  LOWBIT_TRY(check_size(check, "packed", a.packed, bytes, packed_size(a.encoding, LOWBIT_RHO_BLOCK)));
  LOWBIT_TRY(check_size(check, "scales", a.scales, blocks, 1));
  LOWBIT_TRY(check.flat("packed", &a.packed, LOWBIT_TYPE_U8, bytes));
  return check.flat("scales", &a.scales, LOWBIT_TYPE_F32, blocks);
}

Status enqueue(Stream& on, const Args& a) {
  return run(on, {LOWBIT_RHO_EXPAND, {}, a.encoding, {}},
             RhoExpand{a.packed, a.scales, a.output, a.encoding, values(a)});
}

}  // namespace

lowbit_status lowbit_rho_expand(lowbit_stream* stream, const lowbit_rho_expand_args* args) {
  return call("rho_expand", stream, args, operands, validate, enqueue);
}
