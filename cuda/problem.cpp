#include "problem.h"

#include <fmt/format.h>

namespace lowbit::core::cuda {
namespace {

// Sizes are rounded up to steps and tiles in 32 bits.
constexpr int64_t kMostColumns = int64_t{1} << 30;

Status check_size(const char* operation, const char* name, int64_t size) {
  if (size <= kMostColumns) return {};
  return {LOWBIT_UNSUPPORTED,
          fmt::format("{}: {} is {}, the cuda backend takes at most {}", operation, name, size, kMostColumns)};
}

bool is_wide(const Tensor& tensor) {
  return (reinterpret_cast<uintptr_t>(tensor.data) + tensor.offset) % 16 == 0 && tensor.row_stride % 4 == 0;
}

Problem common(const ActivationOperand& input, const Weight& weight, const Tensor& output, int64_t B, int64_t T,
               int64_t K, int64_t N) {
  const WeightShape& shape = weight.shape();
  const int64_t panel_bytes = panel32_bytes(weight.format(), shape.K);
  return {
      .values = row<uint32_t>(input.values, 0),
      .weights = static_cast<const uint8_t*>(weight.packed()),
      .input_scales = input.scales.data == nullptr ? nullptr : row<float>(input.scales, 0),
      .weight_scales = weight.scales(),
      .out = row<float>(output, 0),
      .value_stride = input.values.row_stride,
      .out_stride = output.row_stride,
      .M = B * T,
      .T = T,
      .K = static_cast<int>(K),
      .N = static_cast<int>(N),
      .segment_steps = static_cast<int>(panel32_steps(weight.format(), K)),
      .segment_bytes = ceil_div(shape.N, kPanel32Columns) * panel_bytes,
      .panel_bytes = panel_bytes,
      .weight_columns = weight.per_channel() ? static_cast<int>(shape.N) : 0,
      .scale_a_row = input.scales.data != nullptr && row_length(input.scales) != 1,
      .input_scale = input.scale,
      .wide_loads = is_wide(input.values),
      .wide_stores = is_wide(output),
  };
}

}  // namespace

Status make_problem(const LowrankProjection& op, Problem* problem) {
  LOWBIT_TRY(check_size("lowrank_projection", "E", op.E));
  LOWBIT_TRY(check_size("lowrank_projection", "L", op.weight->shape().N));
  LOWBIT_TRY(check_size("lowrank_projection", "H", op.H));
  *problem = common(op.input, *op.weight, op.output, op.B, op.T, op.E, op.Lo);
  problem->input_batch = problem->scale_batch = op.Hi * op.T;
  problem->input_head = op.Hi == 1 ? 0 : op.T;
  problem->Z = static_cast<int>(op.H);
  problem->S = 1;
  problem->use_threshold = op.threshold.has_value();
  problem->threshold = op.threshold.value_or(0.0f);
  return {};
}

Status make_problem(const DecoderTail& op, Problem* problem) {
  LOWBIT_TRY(check_size("decoder_tail", "l", op.l));
  LOWBIT_TRY(check_size("decoder_tail", "D", op.D));
  LOWBIT_TRY(check_size("decoder_tail", "H * l", op.H * op.l));
  *problem = common(op.input, *op.weight, op.output, op.B, op.T, op.l, op.D);
  problem->input_batch = op.H * op.T;
  problem->input_head = op.T;
  problem->scale_batch = op.T;
  problem->Z = 1;
  problem->S = static_cast<int>(op.H);
  return {};
}

}  // namespace lowbit::core::cuda
