#include "activations.h"

using namespace lowbit::core;

namespace {

using Args = lowbit_decoder_tail_args;

std::array<Operand, 3> operands(Args& a) {
  return {{{"input.values", &a.input.values, false},
           {"input.scales", &a.input.scales, false},
           {"output", &a.output, true}}};
}

Status validate(const Validator& check, const Device& device, Args& a) {
  LOWBIT_TRY(check_weight(check, a.weight, LOWBIT_DECODER_TAIL, device));
  LOWBIT_TRY(check_activations(check, &a.input));
  const auto [H, L, D] = a.weight->any().shape();
  const Tensor& in = a.input.values;
  const int64_t B = in.shape[0], T = in.shape[2];
  LOWBIT_TRY(check.extent("input.values", in, 1, H, "heads"));
  if (a.latent == 0) a.latent = is_packed(a.input) ? L : row_length(in);
  if (a.latent < 1 || a.latent > L) return check.fail("latent is {}, it may be 1 to {}", a.latent, L);
  LOWBIT_TRY(is_packed(a.input)
                 ? check.extent("input.values", in, 3, ceil_div(a.latent, LOWBIT_CODES_PER_WORD), "words of l codes")
                 : check.extent("input.values", in, 3, a.latent, "l"));
  LOWBIT_TRY(check_scale_count(check, &a.input, B * T));

  LOWBIT_TRY(check.tensor("output", &a.output, {LOWBIT_TYPE_F32}, 4, 4));
  LOWBIT_TRY(check.extent("output", a.output, 0, B, "B"));
  LOWBIT_TRY(check.extent("output", a.output, 1, 1, "always 1"));
  LOWBIT_TRY(check.extent("output", a.output, 2, T, "T"));
  return check.extent("output", a.output, 3, D, "D");
}

Status enqueue(Stream& on, const Args& a) {
  const Weight* weight = nullptr;
  LOWBIT_TRY(a.weight->on(on.device(), &weight));
  const auto [H, L, D] = weight->shape();
  const int64_t B = a.input.values.shape[0], T = a.input.values.shape[2];
  const KernelRow* kernel = nullptr;
  const ProjectionSize size{B * T, H * a.latent, B * T * D, box_rows(a.input)};
  LOWBIT_TRY(
      choose(on.device(), {LOWBIT_DECODER_TAIL, a.input.format, weight->format(), weight->layout(), size}, &kernel));
  DecoderTail op{{}, weight, a.output, B, H, T, a.latent, D};
  LOWBIT_TRY(quantized(on, a.input, LOWBIT_PER_TOKEN_ALL_HEADS, &op.input));
  return launch(on, *kernel, op);
}

}  // namespace

lowbit_status lowbit_decoder_tail(lowbit_stream* stream, const lowbit_decoder_tail_args* args) {
  return call("decoder_tail", stream, args, operands, validate, enqueue);
}
