#include "evaluation.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "hatchling.h"
#include "sampler.h"

namespace bdh {
namespace {

// What is kept of one predicted byte.
struct Prediction {
  double nats;  // -log p(next)
  double divergence;
  double difference;  // |p(next) - q(next)|
  bool equal_top1;
};

// log softmax in float64.
std::vector<double> log_probabilities(std::span<const float> logits) {
  const double top = *std::max_element(logits.begin(), logits.end());
  double total = 0;
  for (float logit : logits) total += std::exp(logit - top);
  const double offset = top + std::log(total);
  std::vector<double> result(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) result[i] = logits[i] - offset;
  return result;
}

Prediction compare(std::span<const float> logits, std::optional<std::span<const float>> reference, uint8_t next) {
  const std::vector<double> q = log_probabilities(logits);
  Prediction result{.nats = -q[next], .divergence = 0, .difference = 0, .equal_top1 = false};
  if (!reference) return result;
  const std::vector<double> p = log_probabilities(*reference);
  for (size_t i = 0; i < p.size(); ++i) result.divergence += std::exp(p[i]) * (p[i] - q[i]);
  result.difference = std::fabs(std::exp(p[next]) - std::exp(q[next]));
  result.equal_top1 = first_maximum(logits) == first_maximum(*reference);
  return result;
}

double quantile(const std::vector<double>& sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<size_t>(at), high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (at - static_cast<double>(low)) * (sorted[high] - sorted[low]);
}

Divergence summarise(const std::vector<Prediction>& predictions) {
  const auto n = static_cast<double>(predictions.size());
  std::vector<double> kl;
  int64_t equal_top1 = 0;
  Divergence d{};
  for (const Prediction& p : predictions) {
    kl.push_back(p.divergence);
    d.mean += p.divergence / n;
    equal_top1 += p.equal_top1 ? 1 : 0;
    d.mean_difference += p.difference / n;
    d.rms_difference += p.difference * p.difference / n;
  }
  d.equal_top1 = static_cast<double>(equal_top1) / n;
  d.rms_difference = std::sqrt(d.rms_difference);
  std::sort(kl.begin(), kl.end());
  d.median = quantile(kl, 0.5);
  d.p90 = quantile(kl, 0.9);
  d.p95 = quantile(kl, 0.95);
  d.p99 = quantile(kl, 0.99);
  d.p999 = quantile(kl, 0.999);
  d.largest = kl.back();
  return d;
}

void run_window(Hatchling& model, Hatchling* reference, std::span<const uint8_t> text, std::span<Prediction> out) {
  model.reset();
  if (reference != nullptr) reference->reset();
  for (size_t i = 0; i + 1 < text.size(); ++i) {
    const std::span<const float> logits = model.step(text[i]);
    std::optional<std::span<const float>> expected;
    if (reference != nullptr) expected = reference->step(text[i]);
    out[i] = compare(logits, expected, text[i + 1]);
  }
}

}  // namespace

Evaluation evaluate(const Weights& weights, const Weights* against, std::span<const uint8_t> text, int64_t window,
                    const std::function<void(int64_t)>& progress) {
  const auto size = static_cast<size_t>(window);
  const size_t windows = text.size() / size;
  if (windows == 0) {
    throw std::invalid_argument("the text has " + std::to_string(text.size()) + " bytes, less than one window of " +
                                std::to_string(window));
  }
  std::vector<Prediction> predictions(windows * (size - 1));
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  size_t done = 0;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      Hatchling model(weights);
      std::optional<Hatchling> reference;
      if (against != nullptr) reference.emplace(*against);
      for (size_t w = next++; w < windows; w = next++) {
        run_window(model, reference ? &*reference : nullptr, text.subspan(w * size, size),
                   std::span(predictions).subspan(w * (size - 1), size - 1));
        const std::lock_guard lock(mutex);
        progress(static_cast<int64_t>(++done * size));
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
      next = windows;
    }
  };
  {
    std::vector<std::jthread> threads;
    const size_t count = std::min<size_t>(windows, std::max(1u, std::thread::hardware_concurrency()));
    for (size_t i = 1; i < count; ++i) threads.emplace_back(work);
    work();
  }
  if (failure) std::rethrow_exception(failure);

  double nats = 0;
  for (const Prediction& p : predictions) nats += p.nats;
  Evaluation result{};
  result.predictions = static_cast<int64_t>(predictions.size());
  result.nats_per_byte = nats / static_cast<double>(predictions.size());
  result.perplexity = std::exp(result.nats_per_byte);
  if (against != nullptr) result.against = summarise(predictions);
  return result;
}

}  // namespace bdh
