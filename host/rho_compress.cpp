#include "call.h"
#include "kernel_table.h"
#include "rho_statistics.h"

using namespace lowbit::core;

namespace {

using Args = lowbit_rho_compress_args;

std::array<Operand, 3> operands(Args& a) {
  return {{{"input", &a.input, false}, {"packed", &a.packed, true}, {"scales", &a.scales, true}}};
}

int64_t values(const Args& a) { return row_count(a.input) * row_length(a.input); }

Status validate(const Validator& check, const Device&, Args& a) {
  LOWBIT_TRY(check.member("encoding", a.encoding, {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY}));
  LOWBIT_TRY(check.tensor("input", &a.input, {LOWBIT_TYPE_F32}, 1, 4));
  LOWBIT_TRY(check.flat("packed", &a.packed, LOWBIT_TYPE_U8, packed_size(a.encoding, values(a))));
  return check.flat("scales", &a.scales, LOWBIT_TYPE_F32, ceil_div(values(a), LOWBIT_RHO_BLOCK));
}

Status enqueue(Stream& on, const Args& a) {
  const RhoCompress op{a.input, a.packed, a.scales, a.encoding, values(a)};
  LOWBIT_TRY(run(on, {LOWBIT_RHO_COMPRESS, {}, a.encoding, {}}, op));
  return on.rho_statistics == nullptr || on.is_capturing() ? Status() : on.rho_statistics->add(on, op);
}

}  // namespace

lowbit_status lowbit_rho_compress(lowbit_stream* stream, const lowbit_rho_compress_args* args) {
  return call("rho_compress", stream, args, operands, validate, enqueue);
}
