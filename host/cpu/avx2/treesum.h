// treesum (docs/numerics.md) over values that come in runs. Level 0 collects magnitudes, level k + 1 the segment sums
// of level k; a level that is full is added up and passed on. A sum of one value is that value, so passing on is always
// right.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "numbers.h"

namespace lowbit::core::avx2 {

class TreeSum {
 public:
  // The magnitudes of `count` values; kUnsigned counts negative ones as 0.
  template <bool kUnsigned>
  void add(const float* values, int64_t count) {
    Level& level = level_[0];
    while (count > 0) {
      const int64_t taken = std::min<int64_t>(count, LOWBIT_TREESUM_SEGMENT - level.used);
      for (int64_t i = 0; i < taken; ++i) level.values[level.used + i] = magnitude<kUnsigned>(values[i]);
      level.used += taken;
      values += taken;
      count -= taken;
      for (int k = 0; k + 1 < kLevels && level_[k].used == LOWBIT_TREESUM_SEGMENT; ++k) pass_on(k);
    }
  }

  float total() {
    for (int k = 0; k + 1 < kLevels; ++k) {
      if (level_[k].used > 0) pass_on(k);
    }
    return segment_sum(level_[kLevels - 1]);
  }

 private:
  static constexpr int kLevels = 5;  // 4096^5 values: more than memory holds
  static constexpr int64_t kVector = 8;

  struct Level {
    int64_t used = 0;
    alignas(32) float values[LOWBIT_TREESUM_SEGMENT];
  };

  template <bool kUnsigned>
  static float magnitude(float x) {
    return kUnsigned ? (x > 0 ? x : 0.0f) : std::fabs(x);
  }

  void pass_on(int k) {
    Level& next = level_[k + 1];
    next.values[next.used++] = segment_sum(level_[k]);
    level_[k].used = 0;
  }

  // Values past `used` count as +0, which changes no sum of magnitudes: they are skipped, but for whole vectors.
  static float segment_sum(Level& level) {
    if (level.used == 1) return level.values[0];
    const int64_t end = (level.used + kVector - 1) / kVector * kVector;
    std::fill(level.values + level.used, level.values + end, 0.0f);
    alignas(32) float lane[LOWBIT_TREESUM_LANES];
    for (int64_t i = 0; i < LOWBIT_TREESUM_LANES; i += kVector) {
      __m256 sum = i < end ? _mm256_load_ps(level.values + i) : _mm256_setzero_ps();
      for (int64_t j = i + LOWBIT_TREESUM_LANES; j < end; j += LOWBIT_TREESUM_LANES) {
        sum = _mm256_add_ps(sum, _mm256_load_ps(level.values + j));
      }
      _mm256_store_ps(lane + i, sum);
    }
    for (int64_t stride = LOWBIT_TREESUM_LANES / 2; stride >= kVector; stride /= 2) {
      for (int64_t i = 0; i < stride; i += kVector) {
        _mm256_store_ps(lane + i, _mm256_add_ps(_mm256_load_ps(lane + i), _mm256_load_ps(lane + i + stride)));
      }
    }
    for (int64_t stride = kVector / 2; stride > 0; stride /= 2) {
      for (int64_t i = 0; i < stride; ++i) lane[i] += lane[i + stride];
    }
    return lane[0];
  }

  Level level_[kLevels];
};

}  // namespace lowbit::core::avx2
