// treesum (docs/numerics.md) of magnitudes. Lanes start at +0 in place of their first value, and lanes that no value
// meets are left out: neither changes a sum of magnitudes.
#pragma once

#include "cpu/floats.h"

namespace lowbit::core::LOWBIT_ISA {

// Of up to a segment of values. NaN or infinity among them makes a sum that is not finite, also where kUnsigned counts
// negative ones as 0.
template <bool kUnsigned>
float segment_sum(const float* x, int64_t count) {
  constexpr int kVectors = LOWBIT_TREESUM_LANES / kWidth;
  Float lanes[kVectors];
  Int largest{};
  const auto counted = [&](Float value) {
    if constexpr (kUnsigned) largest = larger(magnitude_bits(value), largest);
    return magnitude<kUnsigned>(value);
  };
  const auto add = [&](int k, Float value) { lanes[k] += counted(value); };
  int64_t i = 0;
  if (count >= LOWBIT_TREESUM_LANES) {
#pragma GCC unroll 32
    for (int k = 0; k < kVectors; ++k) lanes[k] = counted(load(x + k * kWidth));
    i = LOWBIT_TREESUM_LANES;
  } else {
#pragma GCC unroll 32
    for (int k = 0; k < kVectors; ++k) lanes[k] = Float{};
  }
  for (; i + LOWBIT_TREESUM_LANES <= count; i += LOWBIT_TREESUM_LANES) {
#pragma GCC unroll 32  // else two of these are made one, and their values are read out of order
    for (int k = 0; k < kVectors; ++k) add(k, load(x + i + k * kWidth));
  }
  int k = 0;
  for (; i + kWidth <= count; i += kWidth) add(k++, load(x + i));
  if (i < count) add(k, load_some(x + i, count - i));
  for (int stride = kVectors / 2; stride > 0; stride /= 2) {
    if (stride * kWidth >= count) continue;
    for (k = 0; k < stride; ++k) lanes[k] += lanes[k + stride];
  }
  const float total = across(lanes[0], [](Float a, Float b) { return a + b; })[0];
  const bool is_finite = bits_of(largest >= static_cast<int32_t>(LOWBIT_INFINITY_BITS)) == 0;
  return is_finite ? total : kNan;
}

// Of `count` segment sums, in whose place the sums of their segments are put, and so on.
inline float sum_of_segments(float* sums, int64_t count) {
  while (count > 1) {
    int64_t segments = 0;
    for (int64_t i = 0; i < count; i += LOWBIT_TREESUM_SEGMENT) {
      const int64_t length = count - i < LOWBIT_TREESUM_SEGMENT ? count - i : LOWBIT_TREESUM_SEGMENT;
      sums[segments++] = segment_sum<false>(sums + i, length);
    }
    count = segments;
  }
  return sums[0];
}

}  // namespace lowbit::core::LOWBIT_ISA
