#include "projections.h"

#include <algorithm>

namespace bdh {
namespace {

// out[n] += sum_k in[k] * w[k, n]; rows of zero inputs are skipped, most of the latent ones are.
void add_product(std::span<const float> in, const float* w, std::span<float> out) {
  for (size_t k = 0; k < in.size(); ++k) {
    if (in[k] == 0) continue;
    const float* row = w + k * out.size();
    for (size_t n = 0; n < out.size(); ++n) out[n] += in[k] * row[n];
  }
}

class FloatProjections final : public Projections {
 public:
  explicit FloatProjections(const Model& model) : m_(model) {}

  void encode(std::span<const float> x, std::span<float> xs) override {
    for (int64_t h = 0; h < m_.H; ++h) project(m_.encoder, h, x, head(xs, h));
  }
  void encode_v(std::span<const float> a, std::span<float> ys) override {
    for (int64_t h = 0; h < m_.H; ++h) {
      project(m_.encoder_v, h, a.subspan(static_cast<size_t>(h * m_.D), static_cast<size_t>(m_.D)), head(ys, h));
    }
  }
  void decode(std::span<const float> product, std::span<float> x) override {
    std::fill(x.begin(), x.end(), 0.0f);
    add_product(product, m_.decoder.values.data(), x);
  }

 private:
  std::span<float> head(std::span<float> latent, int64_t h) const {
    return latent.subspan(static_cast<size_t>(h * m_.N), static_cast<size_t>(m_.N));
  }
  static void project(const Matrix& w, int64_t h, std::span<const float> in, std::span<float> out) {
    std::fill(out.begin(), out.end(), 0.0f);
    add_product(in, w.values.data() + h * w.K * w.N, out);
    for (float& value : out) value = std::max(value, 0.0f);
  }
  const Model& m_;
};

// Copies in, one operation, copies out: the glue between the operations runs on the host.
class LowbitProjections final : public Projections {
 public:
  LowbitProjections(const lowbit::Device& device, const lowbit::Stream& stream, const Model& model,
                    const Configuration& configuration, const lowbit::Weight& encoder, const lowbit::Weight& encoder_v,
                    const lowbit::Weight& decoder)
      : stream_(stream),
        m_(model),
        configuration_(configuration),
        encoder_(encoder),
        encoder_v_(encoder_v),
        decoder_(decoder),
        narrow_(device, sizeof(float) * static_cast<uint64_t>(model.H * model.D)),
        latent_(device, sizeof(float) * static_cast<uint64_t>(model.H * model.N)) {}

  void encode(std::span<const float> x, std::span<float> xs) override { project(encoder_, 1, x, xs); }
  void encode_v(std::span<const float> a, std::span<float> ys) override { project(encoder_v_, m_.H, a, ys); }

  void decode(std::span<const float> product, std::span<float> x) override {
    stream_.upload(latent_, product);
    lowbit::decoder_tail(stream_, {.input = activations(latent_, m_.H, m_.N, LOWBIT_UINT8),
                                   .weight = decoder_.get(),
                                   .output = tensor(narrow_, 1, m_.D)});
    stream_.download(x, narrow_);
  }

 private:
  static lowbit_tensor tensor(const lowbit::Buffer& buffer, int64_t heads, int64_t n) {
    return lowbit::tensor(buffer, LOWBIT_TYPE_F32, {1, heads, 1, n});
  }
  lowbit_activations activations(const lowbit::Buffer& buffer, int64_t heads, int64_t n, lowbit_format format) const {
    return {.values = tensor(buffer, heads, n),
            .format = configuration_.activations == LOWBIT_F32 ? LOWBIT_F32 : format,
            .rule = configuration_.rule,
            .group = LOWBIT_PER_TOKEN};
  }
  // A threshold of 0 is the ReLU.
  void project(const lowbit::Weight& weight, int64_t input_heads, std::span<const float> in, std::span<float> out) {
    stream_.upload(narrow_, in);
    lowbit::lowrank_projection(stream_, {.use_threshold = 1,
                                         .input = activations(narrow_, input_heads, m_.D, LOWBIT_INT8),
                                         .weight = weight.get(),
                                         .output = tensor(latent_, m_.H, m_.N)});
    stream_.download(out, latent_);
  }

  const lowbit::Stream& stream_;
  const Model& m_;
  const Configuration& configuration_;
  const lowbit::Weight &encoder_, &encoder_v_, &decoder_;
  lowbit::Buffer narrow_;  // [H, D] floats
  lowbit::Buffer latent_;  // [H, N] floats
};

std::unique_ptr<lowbit::Weight> prepare(const lowbit::Device& device, lowbit_operation operation,
                                        const Packing& packing, const Matrix& m) {
  return std::make_unique<lowbit::Weight>(device, lowbit_weight_desc{.operation = operation,
                                                                     .format = packing.format,
                                                                     .heads = m.H,
                                                                     .rows = m.K,
                                                                     .columns = m.N,
                                                                     .packed = m.packed.data(),
                                                                     .packed_size = m.packed.size(),
                                                                     .scales = m.scales.data(),
                                                                     .scale_count = m.scales.size()});
}

}  // namespace

Weights::Weights(const lowbit::Device& device, const Model& model, const Configuration& configuration)
    : device_(device), model_(&model), configuration_(configuration) {
  if (configuration.weights.format == LOWBIT_F32) return;
  const bool is_packed = model.packing.format != LOWBIT_F32;
  const Model packed = is_packed ? Model{} : pack_model(model, configuration.weights);
  const Model& from = is_packed ? model : packed;
  encoder_ = prepare(device, LOWBIT_LOWRANK_PROJECTION, from.packing, from.encoder);
  encoder_v_ = prepare(device, LOWBIT_LOWRANK_PROJECTION, from.packing, from.encoder_v);
  decoder_ = prepare(device, LOWBIT_DECODER_TAIL, from.packing, from.decoder);
}

std::unique_ptr<Projections> Weights::projections(const lowbit::Stream& stream) const {
  if (encoder_ == nullptr) return std::make_unique<FloatProjections>(*model_);
  return std::make_unique<LowbitProjections>(device_, stream, *model_, configuration_, *encoder_, *encoder_v_,
                                             *decoder_);
}

}  // namespace bdh
