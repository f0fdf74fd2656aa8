#include "work.h"

#include "weight.h"

namespace lowbit::core {
namespace {

double bytes_of(const Tensor& t) {
  return t.data == nullptr ? 0 : static_cast<double>(row_count(t) * row_length(t) * element_size(t.type));
}

double bytes_of(const ActivationOperand& a) { return bytes_of(a.values) + bytes_of(a.scales); }

// `outputs` results, each the sum of `depth` products with as many weights of `format`, of which there are `weights`.
Work projection(const ActivationOperand& input, lowbit_format format, int64_t weights, const Tensor& output,
                int64_t depth) {
  const auto outputs = static_cast<double>(row_count(output) * row_length(output));
  const auto packed = static_cast<double>(lowbit_packed_weight_size(format, static_cast<uint64_t>(weights)));
  return {bytes_of(input) + packed + bytes_of(output), 2 * outputs * static_cast<double>(depth)};
}

}  // namespace

Work work_of(const QuantizePack& op) { return {bytes_of(op.input) + bytes_of(op.codes) + bytes_of(op.scales), 0}; }

Work work_of(const PackWeight& op) { return {bytes_of(op.input) + bytes_of(op.packed) + bytes_of(op.scales), 0}; }

Work work_of(const LowrankProjection& op) {
  return projection(op.input, op.weight->format(), op.H * op.E * op.Lo, op.output, op.E);
}

Work work_of(const DecoderTail& op) {
  return projection(op.input, op.weight->format(), op.H * op.l * op.D, op.output, op.H * op.l);
}

Work work_of(const RhoCompress& op) { return {bytes_of(op.input) + bytes_of(op.packed) + bytes_of(op.scales), 0}; }

Work work_of(const RhoExpand& op) { return {bytes_of(op.packed) + bytes_of(op.scales) + bytes_of(op.output), 0}; }

}  // namespace lowbit::core
