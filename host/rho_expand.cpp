#include <algorithm>

#include "call.h"
#include "kernel_table.h"

using namespace lowbit::core;

namespace {

// Data that stops short or runs on is named by the block where it does.
Status check_size(const Validator& check, const char* name, const Tensor& tensor, int64_t needed, int64_t per_block) {
  const int64_t have = row_count(tensor) * row_length(tensor);
  if (have == needed) return {};
  return check.fail("{} has {} elements, the output needs {}: they part at block {}", name, have, needed,
                    std::min(have, needed) / per_block);
}

}  // namespace

lowbit_status lowbit_rho_expand(lowbit_stream* stream, const lowbit_rho_expand_args* args) {
  return call("rho_expand", stream, args, [](const Validator& check, Stream& on, lowbit_rho_expand_args& a) -> Status {
    LOWBIT_TRY(check.member("encoding", a.encoding, {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY}));
    LOWBIT_TRY(check.tensor("output", &a.output, {LOWBIT_TYPE_F32}, 1, 4));
    LOWBIT_TRY(check.tensor("packed", &a.packed, {LOWBIT_TYPE_U8}, 1, 4));
    LOWBIT_TRY(check.tensor("scales", &a.scales, {LOWBIT_TYPE_F32}, 1, 4));
    const int64_t n = row_count(a.output) * row_length(a.output);
    const int64_t bytes = packed_size(a.encoding, n), blocks = ceil_div(n, LOWBIT_RHO_BLOCK);
    LOWBIT_TRY(check_size(check, "packed", a.packed, bytes, packed_size(a.encoding, LOWBIT_RHO_BLOCK)));
    LOWBIT_TRY(check_size(check, "scales", a.scales, blocks, 1));
    LOWBIT_TRY(check.flat("packed", &a.packed, LOWBIT_TYPE_U8, bytes));
    LOWBIT_TRY(check.flat("scales", &a.scales, LOWBIT_TYPE_F32, blocks));
    LOWBIT_TRY(
        check.disjoint({{"packed", &a.packed, false}, {"scales", &a.scales, false}, {"output", &a.output, true}}));
    return run(on, {LOWBIT_RHO_EXPAND, {}, a.encoding, {}}, RhoExpand{a.packed, a.scales, a.output, a.encoding, n});
  });
}
