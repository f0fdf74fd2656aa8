// Picks the next byte from logits.
#pragma once

#include <cstdint>
#include <random>
#include <span>

namespace bdh {

// The first of the largest.
size_t first_maximum(std::span<const float> values);

class Sampler {
 public:
  // temperature 0 is greedy; top_k 0 keeps all. The same seed draws the same bytes.
  Sampler(double temperature, int64_t top_k, uint64_t seed) : temperature_(temperature), top_k_(top_k), random_(seed) {}
  uint8_t pick(std::span<const float> logits);

 private:
  double temperature_;
  int64_t top_k_;
  std::mt19937_64 random_;
};

}  // namespace bdh
