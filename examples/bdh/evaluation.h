// How well a configuration predicts a text, and how far it strays from the all-f32 model.
#pragma once

#include <functional>
#include <optional>

#include "projections.h"

namespace bdh {

struct Divergence {
  double mean, median, p90, p95, p99, p999, largest;  // KL(f32 || this) in nats a byte, linear quantiles
  double equal_top1;                                  // share of predictions with the same first maximum
  double mean_difference, rms_difference;             // of |p(next) - q(next)|
};

struct Evaluation {
  double nats_per_byte, perplexity;
  int64_t predictions;
  std::optional<Divergence> against;
};

// Predicts every byte but the first of each whole window of `text`, each window from a fresh state; `against`, where
// not null, runs beside. Windows are shared among the processor's threads; results do not depend on how many there are.
// `progress` is called with bytes done, from one thread at a time. Throws std::invalid_argument where there is no whole
// window.
Evaluation evaluate(const Weights& weights, const Weights* against, std::span<const uint8_t> text, int64_t window,
                    const std::function<void(int64_t)>& progress);

}  // namespace bdh
