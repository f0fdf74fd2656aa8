#include "activations.h"

using namespace lowbit::core;

namespace {

using Args = lowbit_lowrank_projection_args;

std::array<Operand, 3> operands(Args& a) {
  return {{{"input.values", &a.input.values, false},
           {"input.scales", &a.input.scales, false},
           {"output", &a.output, true}}};
}

Status validate(const Validator& check, const Device& device, Args& a) {
  LOWBIT_TRY(check_weight(check, a.weight, LOWBIT_LOWRANK_PROJECTION, device));
  LOWBIT_TRY(check_activations(check, &a.input));
  const auto [H, E, L] = a.weight->any().shape();
  const Tensor& in = a.input.values;
  const int64_t B = in.shape[0], Hi = in.shape[1], T = in.shape[2];
  if (Hi != 1 && Hi != H)
    return check.fail("input.values has shape {}, its axis 1 (heads) may be 1 or {}", shape_text(in), H);
  LOWBIT_TRY(is_packed(a.input)
                 ? check.extent("input.values", in, 3, ceil_div(E, LOWBIT_CODES_PER_WORD), "words of E codes")
                 : check.extent("input.values", in, 3, E, "E"));
  LOWBIT_TRY(check_scale_count(check, &a.input, B * Hi * T));

  LOWBIT_TRY(check.tensor("output", &a.output, {LOWBIT_TYPE_F32}, 4, 4));
  LOWBIT_TRY(check.extent("output", a.output, 0, B, "B"));
  LOWBIT_TRY(check.extent("output", a.output, 1, H, "H"));
  LOWBIT_TRY(check.extent("output", a.output, 2, T, "T"));
  const int64_t Lo = row_length(a.output);
  if (Lo > L) return check.fail("output has shape {}, its axis 3 (Lo) may be 1 to {}", shape_text(a.output), L);
  return {};
}

Status enqueue(Stream& on, const Args& a) {
  const Weight* weight = nullptr;
  LOWBIT_TRY(a.weight->on(on.device(), &weight));
  const auto [H, E, L] = weight->shape();
  const int64_t B = a.input.values.shape[0], Hi = a.input.values.shape[1], T = a.input.values.shape[2],
                Lo = row_length(a.output);
  const KernelRow* kernel = nullptr;
  const ProjectionSize size{B * T, E, B * H * T * Lo, box_rows(a.input)};
  LOWBIT_TRY(choose(on.device(), {LOWBIT_LOWRANK_PROJECTION, a.input.format, weight->format(), weight->layout(), size},
                    &kernel));
  LowrankProjection op{{}, weight, a.output, {}, B, Hi, H, T, E, Lo};
  if (a.use_threshold != 0) op.threshold = a.threshold;
  LOWBIT_TRY(quantized(on, a.input, LOWBIT_PER_TOKEN, &op.input));
  return launch(on, *kernel, op);
}

}  // namespace

lowbit_status lowbit_lowrank_projection(lowbit_stream* stream, const lowbit_lowrank_projection_args* args) {
  return call("lowrank_projection", stream, args, operands, validate, enqueue);
}
