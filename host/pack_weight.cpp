#include "call.h"
#include "kernel_table.h"

using namespace lowbit::core;

lowbit_status lowbit_pack_weight(lowbit_stream* stream, const lowbit_pack_weight_args* args) {
  return call(
      "pack_weight", stream, args, [](const Validator& check, Stream& on, lowbit_pack_weight_args& a) -> Status {
        LOWBIT_TRY(check.member("format", a.format, {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY}));
        LOWBIT_TRY(check.member("rule", a.rule, {LOWBIT_ABSMAX, LOWBIT_ABSMEAN}));
        LOWBIT_TRY(check.member("group", a.group, {LOWBIT_PER_TENSOR, LOWBIT_PER_CHANNEL}));
        LOWBIT_TRY(check.tensor("input", &a.input, {LOWBIT_TYPE_F32}, 2, 4));
        const int64_t N = row_length(a.input), K = a.input.shape[a.input.rank - 2], matrices = row_count(a.input) / K;
        const bool per_channel = a.group == LOWBIT_PER_CHANNEL;
        LOWBIT_TRY(check.flat("packed", &a.packed, LOWBIT_TYPE_U8, packed_size(a.format, matrices * K * N)));
        LOWBIT_TRY(check.flat("scales", &a.scales, LOWBIT_TYPE_F32, per_channel ? matrices * N : 1));
        LOWBIT_TRY(
            check.disjoint({{"input", &a.input, false}, {"packed", &a.packed, true}, {"scales", &a.scales, true}}));
        return run(on, {LOWBIT_PACK_WEIGHT, {}, a.format, {}},
                   PackWeight{a.input, a.packed, a.scales, a.format, a.rule, per_channel, matrices, K, N});
      });
}
