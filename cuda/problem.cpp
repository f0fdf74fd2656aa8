#include "problem.h"

#include <fmt/format.h>

#include <algorithm>

namespace lowbit::core::cuda {
namespace {

// Sizes are rounded up to steps and tiles in 32 bits.
constexpr int64_t kMost = int64_t{1} << 30;

Status check_size(const char* operation, const char* name, int64_t size) {
  if (size <= kMost) return {};
  return {LOWBIT_UNSUPPORTED,
          fmt::format("{}: {} is {}, the cuda backend takes at most {}", operation, name, size, kMost)};
}

bool is_wide(const Tensor& tensor) {
  return (reinterpret_cast<uintptr_t>(tensor.data) + tensor.offset) % 16 == 0 && tensor.row_stride % 4 == 0;
}

Problem common(const ActivationOperand& input, const Weight& weight, const Tensor& output, int64_t B, int64_t T,
               int64_t K, int64_t N) {
  const WeightShape& shape = weight.shape();
  const int64_t panel_chunks = panel32_bytes(weight.format(), shape.K) / static_cast<int64_t>(sizeof(uint4));
  return {
      .values = row<uint32_t>(input.values, 0),
      .weights = static_cast<const uint8_t*>(weight.packed()),
      .input_scales = input.scales.data == nullptr ? nullptr : row<float>(input.scales, 0),
      .weight_scales = weight.scales(),
      .out = row<float>(output, 0),
      .value_stride = input.values.row_stride,
      .out_stride = output.row_stride,
      .M = static_cast<int>(B * T),
      .T = Divisor(static_cast<int>(T)),
      .K = static_cast<int>(K),
      .N = static_cast<int>(N),
      .segment_steps = Divisor(static_cast<int>(panel32_steps(weight.format(), K))),
      .segment_chunks = ceil_div(shape.N, kPanel32Columns) * panel_chunks,
      .panel_chunks = panel_chunks,
      .weight_columns = weight.per_channel() ? static_cast<int>(shape.N) : 0,
      .scale_a_row = input.scales.data != nullptr && row_length(input.scales) != 1,
      .input_scale = input.scale,
      .wide_K = is_wide(input.values) ? static_cast<int>(K) : 0,
      .wide_stores = is_wide(output),
  };
}

}  // namespace

Status make_problem(const LowrankProjection& op, Problem* problem) {
  LOWBIT_TRY(check_size("lowrank_projection", "B * max(H, Hi) * T", op.B * std::max(op.H, op.Hi) * op.T));
  LOWBIT_TRY(check_size("lowrank_projection", "E", op.E));
  LOWBIT_TRY(check_size("lowrank_projection", "L", op.weight->shape().N));
  LOWBIT_TRY(check_size("lowrank_projection", "H", op.H));
  *problem = common(op.input, *op.weight, op.output, op.B, op.T, op.E, op.Lo);
  problem->input_batch = problem->scale_batch = static_cast<int>(op.Hi * op.T);
  problem->input_head = op.Hi == 1 ? 0 : static_cast<int>(op.T);
  problem->Z = static_cast<int>(op.H);
  problem->S = 1;
  problem->use_threshold = op.threshold.has_value();
  problem->threshold = op.threshold.value_or(0.0f);
  return {};
}

Status make_problem(const DecoderTail& op, Problem* problem) {
  LOWBIT_TRY(check_size("decoder_tail", "B * H * T", op.B * op.H * op.T));
  LOWBIT_TRY(check_size("decoder_tail", "l", op.l));
  LOWBIT_TRY(check_size("decoder_tail", "D", op.D));
  LOWBIT_TRY(check_size("decoder_tail", "H * l", op.H * op.l));
  *problem = common(op.input, *op.weight, op.output, op.B, op.T, op.l, op.D);
  problem->input_batch = static_cast<int>(op.H * op.T);
  problem->input_head = problem->scale_batch = static_cast<int>(op.T);
  problem->segment_values = op.T * problem->value_stride;
  problem->Z = 1;
  problem->S = static_cast<int>(op.H);
  return {};
}

}  // namespace lowbit::core::cuda
