#include "hatchling.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>

namespace bdh {
namespace {

// Layer norm without an affine part, over the population variance.
void layer_norm(std::span<float> x) {
  constexpr double kEps = 1e-5;
  const auto n = static_cast<double>(x.size());
  double sum = 0, squares = 0;
  for (float value : x) sum += value;
  const double mean = sum / n;
  for (float value : x) squares += (value - mean) * (value - mean);
  const double scale = 1.0 / std::sqrt(squares / n + kEps);
  for (float& value : x) value = static_cast<float>((value - mean) * scale);
}

std::span<float> slice(std::vector<float>& values, int64_t index, int64_t length) {
  return std::span(values).subspan(static_cast<size_t>(index * length), static_cast<size_t>(length));
}

size_t size(int64_t count) { return static_cast<size_t>(count); }

}  // namespace

Hatchling::Hatchling(const Weights& weights)
    : weights_(weights),
      m_(weights.model()),
      stream_(weights.device()),
      projections_(weights.projections(stream_)),
      rho_(size(m_.layers * m_.H * m_.N * m_.D)),
      frequency_(size(m_.N / 2)),
      cosine_(frequency_.size()),
      sine_(frequency_.size()),
      x_(size(m_.D)),
      update_(x_.size()),
      xs_(size(m_.H * m_.N)),
      ys_(xs_.size()),
      q_(xs_.size()),
      a_(size(m_.H * m_.D)),
      logits_(kVocabulary) {
  for (int64_t j = 0; j < m_.N / 2; ++j) {
    const double turns = 1.0 / std::pow(65536.0, static_cast<double>(2 * j) / static_cast<double>(m_.N));
    frequency_[size(j)] = static_cast<float>(turns / (2 * std::numbers::pi));
  }
  if (weights_.configuration().rho != LOWBIT_F32) {
    const auto count = static_cast<uint64_t>(m_.N * m_.D);
    block_ = std::make_unique<lowbit::Buffer>(weights_.device(), count * sizeof(float));
    packed_ = std::make_unique<lowbit::Buffer>(weights_.device(),
                                               lowbit_rho_packed_size(weights_.configuration().rho, count));
    scales_ = std::make_unique<lowbit::Buffer>(weights_.device(), lowbit_rho_block_count(count) * sizeof(float));
  }
}

void Hatchling::reset() {
  std::fill(rho_.begin(), rho_.end(), 0.0f);
  position_ = 0;
}

std::span<const float> Hatchling::step(uint8_t token) {
  compute_rope_table();
  std::copy_n(m_.embedding.begin() + token * m_.D, m_.D, x_.begin());
  layer_norm(x_);
  for (int64_t index = 0; index < m_.layers; ++index) layer(index);

  std::fill(logits_.begin(), logits_.end(), 0.0f);
  for (size_t d = 0; d < x_.size(); ++d) {
    const float* row = m_.lm_head.data() + d * kVocabulary;
    for (size_t v = 0; v < logits_.size(); ++v) logits_[v] += x_[d] * row[v];
  }
  if (!std::all_of(logits_.begin(), logits_.end(), [](float logit) { return std::isfinite(logit); })) {
    throw std::runtime_error("the model's logits are not finite at byte " + std::to_string(position_) +
                             " of the text: its weights are too large");
  }
  ++position_;
  if (block_ != nullptr && position_ % weights_.configuration().rho_chunk == 0) recompress_rho();
  return logits_;
}

void Hatchling::layer(int64_t index) {
  projections_->encode(x_, xs_);
  for (int64_t h = 0; h < m_.H; ++h) {
    const std::span<float> q = slice(q_, h, m_.N), a = slice(a_, h, m_.D);
    rope(slice(xs_, h, m_.N), q);
    recur(q, slice(rho_, index * m_.H + h, m_.N * m_.D), a);
    layer_norm(a);
  }
  projections_->encode_v(a_, ys_);
  for (size_t i = 0; i < ys_.size(); ++i) ys_[i] *= xs_[i];
  projections_->decode(ys_, update_);
  layer_norm(update_);
  for (size_t d = 0; d < x_.size(); ++d) x_[d] += update_[d];
  layer_norm(x_);
}

// Both of a pair turn by frac(position * f) of a circle.
void Hatchling::compute_rope_table() {
  for (size_t j = 0; j < frequency_.size(); ++j) {
    const double turns = static_cast<double>(position_) * frequency_[j];
    const double phase = (turns - std::floor(turns)) * 2 * std::numbers::pi;
    cosine_[j] = static_cast<float>(std::cos(phase));
    sine_[j] = static_cast<float>(std::sin(phase));
  }
}

void Hatchling::rope(std::span<const float> in, std::span<float> out) const {
  for (size_t j = 0; j < frequency_.size(); ++j) {
    out[2 * j] = in[2 * j] * cosine_[j] - in[2 * j + 1] * sine_[j];
    out[2 * j + 1] = in[2 * j + 1] * cosine_[j] + in[2 * j] * sine_[j];
  }
}

// a = q rho, then rho += q' x; in one pass over rho, past the rows where q is 0.
void Hatchling::recur(std::span<const float> q, std::span<float> rho, std::span<float> a) const {
  std::fill(a.begin(), a.end(), 0.0f);
  for (size_t n = 0; n < q.size(); ++n) {
    if (q[n] == 0) continue;
    float* row = rho.data() + n * x_.size();
    for (size_t d = 0; d < x_.size(); ++d) {
      a[d] += q[n] * row[d];
      row[d] += q[n] * x_[d];
    }
  }
}

void Hatchling::recompress_rho() {
  const lowbit_format encoding = weights_.configuration().rho;
  const lowbit_tensor values = lowbit::tensor(*block_, LOWBIT_TYPE_F32, {m_.N, m_.D});
  const lowbit_tensor packed = lowbit::tensor(*packed_, LOWBIT_TYPE_U8, {static_cast<int64_t>(packed_->size())});
  const lowbit_tensor scales =
      lowbit::tensor(*scales_, LOWBIT_TYPE_F32, {static_cast<int64_t>(scales_->size() / sizeof(float))});
  for (int64_t i = 0; i < m_.layers * m_.H; ++i) {
    const std::span<float> rho = slice(rho_, i, m_.N * m_.D);
    stream_.upload(*block_, rho);
    lowbit::rho_compress(stream_, {.encoding = encoding, .input = values, .packed = packed, .scales = scales});
    lowbit::rho_expand(stream_, {.encoding = encoding, .packed = packed, .scales = scales, .output = values});
    stream_.download(rho, *block_);
  }
}

}  // namespace bdh
