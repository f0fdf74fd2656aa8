#include "host_calls.h"

#include <cstring>

#include "values.h"

namespace lowbit::test {
namespace {

constexpr int64_t B = 2, H = 3, T = 5, E = 70, L = 50, D = 37;
constexpr int64_t kGap = 3;  // elements between rows
constexpr uint8_t kCanary = 0x5a;

Weight prepare(const Device& device, lowbit_operation operation, lowbit_format format, int64_t K, int64_t N) {
  const std::vector<uint8_t> packed = pack_bytes(format, make_codes(format, H * K * N, 7));
  const float scale = 0.25f;
  return {device,
          {.operation = operation,
           .format = format,
           .heads = H,
           .rows = K,
           .columns = N,
           .packed = packed.data(),
           .packed_size = packed.size(),
           .scales = &scale,
           .scale_count = 1}};
}

// Rows in host memory that do not touch.
struct Rows {
  Rows(lowbit_type type, std::vector<int64_t> axes) : shape(std::move(axes)) {
    int64_t rows = 1;
    for (size_t axis = 0; axis + 1 < shape.size(); ++axis) rows *= shape[axis];
    bytes.assign(static_cast<size_t>(rows * (shape.back() + kGap)) * (type == LOWBIT_TYPE_U8 ? 1 : 4), kCanary);
    tensor = lowbit::tensor(bytes.data(), type, shape);
    tensor.row_stride = shape.back() + kGap;
    tensor.size = bytes.size();
  }
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;

  void fill(const std::vector<float>& values) {
    const auto length = static_cast<size_t>(shape.back());
    for (size_t row = 0; row * length < values.size(); ++row) {
      std::memcpy(bytes.data() + row * (length + kGap) * 4, values.data() + row * length, length * 4);
    }
  }

  std::vector<int64_t> shape;
  std::vector<uint8_t> bytes;
  lowbit_tensor tensor{};
};

}  // namespace

HostCalls::HostCalls(const Device& device)
    : encoder_(prepare(device, LOWBIT_LOWRANK_PROJECTION, LOWBIT_TERNARY, E, L)),
      decoder_(prepare(device, LOWBIT_DECODER_TAIL, LOWBIT_INT8, L, D)) {}

std::vector<uint8_t> HostCalls::run(const Stream& stream, std::vector<lowbit_fallback_reason>* reasons) const {
  std::vector<uint8_t> results;
  const auto keep = [&](const auto& values) {
    const auto bytes = std::as_bytes(std::span(values));
    const auto* first = reinterpret_cast<const uint8_t*>(bytes.data());
    results.insert(results.end(), first, first + bytes.size());
  };
  const auto note_reason = [&] {
    if (reasons != nullptr) reasons->push_back(stream.fallback().reason);
  };
  Rows tokens(LOWBIT_TYPE_F32, {B, 1, T, E});
  tokens.fill(make_values(Values::mixed, B * T, E, 127, 1));

  Rows codes(LOWBIT_TYPE_I32, {B, 1, T, ceil_div(E, 4)});
  std::vector<float> scales(B * T);
  quantize_pack(stream, {.format = LOWBIT_INT8,
                         .group = LOWBIT_PER_TOKEN,
                         .input = tokens.tensor,
                         .codes = codes.tensor,
                         .scales = tensor(scales.data(), LOWBIT_TYPE_F32, {B * T})});
  note_reason();
  keep(codes.bytes);
  keep(scales);

  Rows latent(LOWBIT_TYPE_F32, {B, H, T, L});
  lowbit_activations input = {
      .values = codes.tensor, .scales = tensor(scales.data(), LOWBIT_TYPE_F32, {B * T}), .format = LOWBIT_INT8};
  lowrank_projection(stream, {.use_threshold = 1, .input = input, .weight = encoder_.get(), .output = latent.tensor});
  note_reason();
  keep(latent.bytes);
  input = {.values = tokens.tensor, .format = LOWBIT_UINT8, .group = LOWBIT_PER_TENSOR};
  lowrank_projection(stream, {.input = input, .weight = encoder_.get(), .output = latent.tensor});
  note_reason();
  keep(latent.bytes);

  Rows embedding(LOWBIT_TYPE_F32, {B, 1, T, D});
  input = {.values = latent.tensor, .format = LOWBIT_INT8, .group = LOWBIT_PER_TOKEN};
  decoder_tail(stream, {.input = input, .weight = decoder_.get(), .output = embedding.tensor});
  note_reason();
  keep(embedding.bytes);

  const std::vector<float> weights = make_values(Values::uniform, H * E, L, 127, 2);
  std::vector<uint8_t> packed(lowbit_packed_weight_size(LOWBIT_TERNARY, weights.size()));
  std::vector<float> channels(H * L);
  const auto floats = [](const std::vector<float>& of, std::initializer_list<int64_t> shape) {
    return tensor(const_cast<float*>(of.data()), LOWBIT_TYPE_F32, shape);
  };
  const auto bytes = [](std::vector<uint8_t>& of) {
    return tensor(of.data(), LOWBIT_TYPE_U8, {static_cast<int64_t>(of.size())});
  };
  pack_weight(stream, {.format = LOWBIT_TERNARY,
                       .group = LOWBIT_PER_CHANNEL,
                       .input = floats(weights, {H, E, L}),
                       .packed = bytes(packed),
                       .scales = floats(channels, {H * L})});
  note_reason();
  keep(packed);
  keep(channels);

  const int64_t n = H * E * L;
  std::vector<uint8_t> rho(lowbit_rho_packed_size(LOWBIT_INT8, n));
  std::vector<float> blocks(lowbit_rho_block_count(n));
  Rows expanded(LOWBIT_TYPE_F32, {H * E, L});
  rho_compress(stream, {.encoding = LOWBIT_INT8,
                        .input = floats(weights, {n}),
                        .packed = bytes(rho),
                        .scales = floats(blocks, {ceil_div(n, 32)})});
  note_reason();
  keep(rho);
  keep(blocks);
  rho_expand(stream, {.encoding = LOWBIT_INT8,
                      .packed = bytes(rho),
                      .scales = floats(blocks, {ceil_div(n, 32)}),
                      .output = expanded.tensor});
  note_reason();
  keep(expanded.bytes);
  return results;
}

const std::vector<uint8_t>& HostCalls::expected() {
  static const std::vector<uint8_t> expected = [] {
    const Device reference = Device::open({.backend = "reference"});
    return HostCalls(reference).run(Stream(reference));
  }();
  return expected;
}

}  // namespace lowbit::test
