#include "activations.h"

using namespace lowbit::core;

lowbit_status lowbit_decoder_tail(lowbit_stream* stream, const lowbit_decoder_tail_args* args) {
  return call(
      "decoder_tail", stream, args, [](const Validator& check, Stream& on, lowbit_decoder_tail_args& a) -> Status {
        LOWBIT_TRY(check_weight(check, a.weight, LOWBIT_DECODER_TAIL, on));
        LOWBIT_TRY(check_activations(check, &a.input));
        const Weight& weight = *a.weight->weight;
        const auto [H, L, D] = weight.shape();
        const Tensor& in = a.input.values;
        const int64_t B = in.shape[0], T = in.shape[2];
        LOWBIT_TRY(check.extent("input.values", in, 1, H, "heads"));
        const int64_t l = a.latent != 0 ? a.latent : is_packed(a.input) ? L : row_length(in);
        if (l < 1 || l > L) return check.fail("latent is {}, it may be 1 to {}", l, L);
        LOWBIT_TRY(is_packed(a.input)
                       ? check.extent("input.values", in, 3, ceil_div(l, LOWBIT_CODES_PER_WORD), "words of l codes")
                       : check.extent("input.values", in, 3, l, "l"));
        LOWBIT_TRY(check_scale_count(check, &a.input, B * T));

        LOWBIT_TRY(check.tensor("output", &a.output, {LOWBIT_TYPE_F32}, 4, 4));
        LOWBIT_TRY(check.extent("output", a.output, 0, B, "B"));
        LOWBIT_TRY(check.extent("output", a.output, 1, 1, "always 1"));
        LOWBIT_TRY(check.extent("output", a.output, 2, T, "T"));
        LOWBIT_TRY(check.extent("output", a.output, 3, D, "D"));
        LOWBIT_TRY(check.disjoint(
            {{"input.values", &in, false}, {"input.scales", &a.input.scales, false}, {"output", &a.output, true}}));

        const KernelRow* kernel = nullptr;
        const ProjectionSize size{B * T, H * l, B * T * D, box_rows(a.input)};
        LOWBIT_TRY(choose(on.device(), {LOWBIT_DECODER_TAIL, a.input.format, weight.format(), weight.layout(), size},
                          &kernel));
        DecoderTail op{{}, &weight, a.output, B, H, T, l, D};
        LOWBIT_TRY(quantized(on, a.input, LOWBIT_PER_TOKEN_ALL_HEADS, &op.input));
        return launch(on, *kernel, op);
      });
}
