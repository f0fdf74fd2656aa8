#include "mix.h"

#include "values.h"

namespace lowbit::test {

constexpr int64_t kRow = 20, kOutputs = 37;

Mix::Mix(const Device& device, int64_t values, bool with_tail)
    : device_(device),
      values_(values),
      input_(upload(make_values(Values::mixed, values / kRow, kRow, 127, 1))),
      weights_(upload(make_values(Values::uniform, values / kRow, kRow, 127, 2))) {
  for (lowbit_format encoding : {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY}) add_rho(encoding);
  add_quantize_pack(LOWBIT_ABSMAX, LOWBIT_PER_TOKEN);
  add_quantize_pack(LOWBIT_ABSMEAN, LOWBIT_PER_TENSOR);
  add_pack_weight(LOWBIT_INT8);
  add_pack_weight(LOWBIT_TERNARY);
  add_projection(LOWBIT_INT8, 1);
  add_projection(LOWBIT_TERNARY, values / kRow);
  if (with_tail) add_tail(LOWBIT_BINARY);
}

void Mix::add_quantize_pack(lowbit_rule rule, lowbit_group group) {
  const int64_t rows = values_ / kRow, scales = group == LOWBIT_PER_TENSOR ? 1 : rows;
  const lowbit_quantize_pack_args args{.format = LOWBIT_INT8,
                                       .rule = rule,
                                       .group = group,
                                       .input = tensor(input_->data(), LOWBIT_TYPE_F32, {rows, kRow}),
                                       .codes = tensor(output(rows * kRow), LOWBIT_TYPE_I32, {rows, kRow / 4}),
                                       .scales = tensor(output(4 * scales), LOWBIT_TYPE_F32, {scales})};
  calls_.push_back([args](const Stream& stream) { quantize_pack(stream, args); });
}

void Mix::add_pack_weight(lowbit_format format) {
  const auto size = static_cast<int64_t>(lowbit_packed_weight_size(format, static_cast<uint64_t>(values_)));
  const lowbit_pack_weight_args args{.format = format,
                                     .group = LOWBIT_PER_CHANNEL,
                                     .input = tensor(weights_->data(), LOWBIT_TYPE_F32, {values_ / kRow, kRow}),
                                     .packed = tensor(output(size), LOWBIT_TYPE_U8, {size}),
                                     .scales = tensor(output(4 * kRow), LOWBIT_TYPE_F32, {kRow})};
  calls_.push_back([args](const Stream& stream) { pack_weight(stream, args); });
}

void Mix::add_projection(lowbit_format format, int64_t rows) {
  const lowbit_lowrank_projection_args args{
      .input = {.values = tensor(input_->data(), LOWBIT_TYPE_F32, {1, 1, rows, kRow}), .group = LOWBIT_PER_TOKEN},
      .weight = prepare(LOWBIT_LOWRANK_PROJECTION, format),
      .output = tensor(output(4 * rows * kOutputs), LOWBIT_TYPE_F32, {1, 1, rows, kOutputs})};
  calls_.push_back([args](const Stream& stream) { lowrank_projection(stream, args); });
}

void Mix::add_tail(lowbit_format format) {
  const int64_t rows = values_ / kRow;
  const lowbit_decoder_tail_args args{
      .input = {.values = tensor(input_->data(), LOWBIT_TYPE_F32, {1, 1, rows, kRow}), .group = LOWBIT_PER_TOKEN},
      .weight = prepare(LOWBIT_DECODER_TAIL, format),
      .output = tensor(output(4 * rows * kOutputs), LOWBIT_TYPE_F32, {1, 1, rows, kOutputs})};
  calls_.push_back([args](const Stream& stream) { decoder_tail(stream, args); });
}

const lowbit_weight* Mix::prepare(lowbit_operation operation, lowbit_format format) {
  const std::vector<uint8_t> packed = pack_bytes(format, make_codes(format, kRow * kOutputs, 3));
  const float scale = 0.25f;
  prepared_.push_back(std::make_unique<Weight>(device_, lowbit_weight_desc{.operation = operation,
                                                                           .format = format,
                                                                           .heads = 1,
                                                                           .rows = kRow,
                                                                           .columns = kOutputs,
                                                                           .packed = packed.data(),
                                                                           .packed_size = packed.size(),
                                                                           .scales = &scale,
                                                                           .scale_count = 1}));
  return prepared_.back()->get();
}

// There, and back again.
void Mix::add_rho(lowbit_format encoding) {
  const auto n = static_cast<uint64_t>(values_);
  const auto size = static_cast<int64_t>(lowbit_rho_packed_size(encoding, n));
  const auto blocks = static_cast<int64_t>(lowbit_rho_block_count(n));
  const lowbit_rho_compress_args compress{.encoding = encoding,
                                          .input = tensor(input_->data(), LOWBIT_TYPE_F32, {values_}),
                                          .packed = tensor(output(size), LOWBIT_TYPE_U8, {size}),
                                          .scales = tensor(output(4 * blocks), LOWBIT_TYPE_F32, {blocks})};
  const lowbit_rho_expand_args expand{.encoding = encoding,
                                      .packed = compress.packed,
                                      .scales = compress.scales,
                                      .output = tensor(output(4 * values_), LOWBIT_TYPE_F32, {values_})};
  calls_.push_back([compress](const Stream& stream) { rho_compress(stream, compress); });
  calls_.push_back([expand](const Stream& stream) { rho_expand(stream, expand); });
}

std::unique_ptr<Buffer> Mix::upload(const std::vector<float>& values) const {
  auto buffer = std::make_unique<Buffer>(device_, values.size() * sizeof(float));
  const Stream stream(device_);
  stream.upload(*buffer, values);
  stream.synchronize();
  return buffer;
}

void* Mix::output(int64_t size) {
  outputs_.push_back(
      std::make_unique<Buffer>(device_, static_cast<uint64_t>(size) + 16));  // bytes behind it are to stay as they were
  return outputs_.back()->data();
}

void Mix::clear(const Stream& stream) const {
  for (const auto& output : outputs_) {
    const std::vector<uint8_t> zeros(output->size());  // which every operation reads without complaint
    stream.upload(*output, zeros);
    stream.synchronize();
  }
}

std::vector<uint8_t> Mix::results(const Stream& stream) const {
  std::vector<uint8_t> all;
  for (const auto& output : outputs_) {
    std::vector<uint8_t> bytes(output->size());
    stream.download(bytes, *output);
    all.insert(all.end(), bytes.begin(), bytes.end());
  }
  return all;
}

std::vector<uint8_t> Mix::expected(int64_t values, bool with_tail) {
  const Device reference = Device::open({.backend = "reference"});
  const Stream stream(reference);
  const Mix mix(reference, values, with_tail);
  mix.clear(stream);
  mix.run(stream);
  return mix.results(stream);
}

}  // namespace lowbit::test
