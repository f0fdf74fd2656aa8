#include "call.h"
#include "kernel_table.h"

using namespace lowbit::core;

lowbit_status lowbit_rho_compress(lowbit_stream* stream, const lowbit_rho_compress_args* args) {
  return call(
      "rho_compress", stream, args, [](const Validator& check, Stream& on, lowbit_rho_compress_args& a) -> Status {
        LOWBIT_TRY(check.member("encoding", a.encoding, {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY}));
        LOWBIT_TRY(check.tensor("input", &a.input, {LOWBIT_TYPE_F32}, 1, 4));
        const int64_t n = row_count(a.input) * row_length(a.input);
        LOWBIT_TRY(check.flat("packed", &a.packed, LOWBIT_TYPE_U8, packed_size(a.encoding, n)));
        LOWBIT_TRY(check.flat("scales", &a.scales, LOWBIT_TYPE_F32, ceil_div(n, LOWBIT_RHO_BLOCK)));
        LOWBIT_TRY(
            check.disjoint({{"input", &a.input, false}, {"packed", &a.packed, true}, {"scales", &a.scales, true}}));
        return run(on, {LOWBIT_RHO_COMPRESS, {}, a.encoding, {}},
                   RhoCompress{a.input, a.packed, a.scales, a.encoding, n});
      });
}
