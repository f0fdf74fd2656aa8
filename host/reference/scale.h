// Scales, codes and the epilogue, as docs/numerics.md writes them. Each float operation below is rounded once: the
// build has no contraction and no fast-math, and the caller holds a FloatEnvironment.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

#include "codes.h"
#include "numbers.h"

namespace lowbit::core::reference {

inline constexpr float kEps = std::bit_cast<float>(LOWBIT_EPS_BITS);
inline constexpr float kNan = std::bit_cast<float>(LOWBIT_NAN_BITS);

inline bool is_finite(float x) { return (std::bit_cast<uint32_t>(x) & LOWBIT_INFINITY_BITS) != LOWBIT_INFINITY_BITS; }

// uint8 counts negative values as 0.
inline float magnitude(float x, lowbit_format format) {
  return format == LOWBIT_UINT8 ? (x > 0 ? x : 0.0f) : std::fabs(x);
}

// The sums of value(0) .. value(n-1) in segments of 4096: 256 lanes, each from its first value on, then the tree. What
// a short segment lacks counts as +0, which changes no sum of magnitudes.
template <typename Value>
std::vector<float> segment_sums(int64_t n, Value value) {
  std::vector<float> sums;
  for (int64_t start = 0; start < n; start += LOWBIT_TREESUM_SEGMENT) {
    const int64_t length = std::min<int64_t>(LOWBIT_TREESUM_SEGMENT, n - start);
    float lane[LOWBIT_TREESUM_LANES] = {};
    for (int64_t i = 0; i < length; ++i) {
      float& sum = lane[i % LOWBIT_TREESUM_LANES];
      sum = i < LOWBIT_TREESUM_LANES ? value(start + i) : sum + value(start + i);
    }
    for (int64_t stride = LOWBIT_TREESUM_LANES / 2; stride > 0; stride /= 2) {
      for (int64_t i = 0; i < stride; ++i) lane[i] += lane[i + stride];
    }
    sums.push_back(lane[0]);
  }
  return sums;
}

// The sum in the order that every backend keeps: the segment sums are summed the same way, until one is left.
template <typename Value>
float treesum(int64_t n, Value value) {
  std::vector<float> sums = segment_sums(n, value);
  while (sums.size() > 1) {
    sums = segment_sums(static_cast<int64_t>(sums.size()), [&](int64_t i) { return sums[static_cast<size_t>(i)]; });
  }
  return sums[0];
}

// Twice the mean for absmean of codes (factor 2, qmax codes); the mean itself for ternary and binary (both 1).
inline float mean_scale(float sum, int64_t n, double factor, int qmax) {
  const auto c = static_cast<float>(factor / (static_cast<double>(qmax) * static_cast<double>(n)));
  const float scale = sum * c;
  return is_finite(scale) ? std::max(scale, kEps) : kNan;
}

template <typename Value>
float absmax_scale(int64_t n, int qmax, Value magnitude) {
  float largest = 0;
  for (int64_t i = 0; i < n; ++i) largest = std::max(largest, magnitude(i));
  return std::max(largest * static_cast<float>(1.0 / qmax), kEps);
}

// The scale of a group of n values: NaN if one of them is not finite, or if their sum overflows.
template <typename Value>
float group_scale(int64_t n, lowbit_format format, lowbit_rule rule, Value value) {
  for (int64_t i = 0; i < n; ++i) {
    if (!is_finite(value(i))) return kNan;
  }
  const auto mag = [&](int64_t i) { return magnitude(value(i), format); };
  return rule == LOWBIT_ABSMAX ? absmax_scale(n, qmax(format), mag) : mean_scale(treesum(n, mag), n, 2.0, qmax(format));
}

// Weights and rho blocks in ternary or binary: the mean of the magnitudes.
template <typename Value>
float ternary_scale(int64_t n, Value value) {
  return mean_scale(treesum(n, [&](int64_t i) { return std::fabs(value(i)); }), n, 1.0, 1);
}

// int8, int4, uint8. `inverse` is 1/scale; a NaN scale codes everything as 0.
inline int quantized_code(float x, float inverse, lowbit_format format) {
  if (std::isnan(inverse)) return 0;
  const auto top = static_cast<float>(qmax(format));
  const float bottom = format == LOWBIT_UINT8 ? 0.0f : -top;
  const float v = format == LOWBIT_UINT8 ? magnitude(x, format) : x;
  return static_cast<int>(std::clamp(std::nearbyint(v * inverse), bottom, top));
}

inline int sign_code(float x) { return x >= 0 ? 1 : -1; }

// A weight's or rho value's code in any of the three formats.
inline int weight_code(float x, float scale, lowbit_format format) {
  switch (format) {
    case LOWBIT_BINARY:
      return std::isnan(scale) ? -1 : sign_code(x);
    case LOWBIT_TERNARY:
      return std::isnan(scale) || std::fabs(x) < scale ? 0 : sign_code(x);
    default:
      return quantized_code(x, 1.0f / scale, format);
  }
}

// Two roundings for `accumulator`, one for the product of the scales.
inline float scaled(float accumulator, float scale_activation, float scale_weight) {
  return accumulator * (scale_activation * scale_weight);
}

inline float thresholded(float out, std::optional<float> threshold) {
  if (!threshold) return out;
  const float d = out - *threshold;
  return d > 0 || std::isnan(d) ? d : 0.0f;
}

}  // namespace lowbit::core::reference
