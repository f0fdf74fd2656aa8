#include "sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace bdh {

size_t first_maximum(std::span<const float> values) {
  return static_cast<size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

uint8_t Sampler::pick(std::span<const float> logits) {
  if (temperature_ == 0) return static_cast<uint8_t>(first_maximum(logits));
  std::vector<size_t> order(logits.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  if (top_k_ > 0 && static_cast<size_t>(top_k_) < order.size()) order.resize(static_cast<size_t>(top_k_));

  std::vector<double> weight(order.size());
  double total = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    weight[i] = std::exp((static_cast<double>(logits[order[i]]) - logits[order[0]]) / temperature_);
    total += weight[i];
  }
  // 53 random bits: a uniform number in [0, 1) by a rule that is the same with every standard library.
  double left = static_cast<double>(random_() >> 11) * 0x1p-53 * total;
  for (size_t i = 0; i < order.size(); ++i) {
    if (left < weight[i]) return static_cast<uint8_t>(order[i]);
    left -= weight[i];
  }
  return static_cast<uint8_t>(order.back());
}

}  // namespace bdh
