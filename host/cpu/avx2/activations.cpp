#include "cpu/avx2/activations.h"

#include <cstring>

namespace lowbit::core::avx2 {
namespace {

constexpr int64_t kCodesAtOnce = 16;

// Sixteen codes as pairs (a[j], a[j + G/2]) of each group, and their sum.
template <bool kSigned>
int64_t spread_16(const uint8_t* codes, __m128i order, int32_t* pairs) {
  const __m128i bytes = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)), order);
  const __m256i wide = kSigned ? _mm256_cvtepi8_epi16(bytes) : _mm256_cvtepu8_epi16(bytes);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(pairs), wide);
  const __m256i sums = _mm256_madd_epi16(wide, _mm256_set1_epi16(1));
  __m128i s = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
  s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
  return _mm_cvtsi128_si32(s);
}

template <bool kSigned>
int64_t spread_row(const uint8_t* codes, int64_t length, __m128i order, int32_t* pairs) {
  int64_t sum = 0, i = 0;
  for (; i + kCodesAtOnce <= length; i += kCodesAtOnce) sum += spread_16<kSigned>(codes + i, order, pairs + i / 2);
  if (i < length) {
    uint8_t last[kCodesAtOnce] = {};
    std::memcpy(last, codes + i, static_cast<size_t>(length - i));
    sum += spread_16<kSigned>(last, order, pairs + i / 2);
  }
  return sum;
}

}  // namespace

Status spread(Stream& stream, const ActivationOperand& activations, int64_t length, lowbit_format weights,
              SpreadRows* rows) {
  const int64_t count = row_count(activations.values), stride = ceil_div(length, kCodesAtOnce) * kCodesAtOnce / 2;
  Location pairs_memory, sums_memory;
  LOWBIT_TRY(stream.scratch(static_cast<size_t>(count * stride) * sizeof(int32_t), &pairs_memory));
  LOWBIT_TRY(stream.scratch(static_cast<size_t>(count) * sizeof(int64_t), &sums_memory));
  auto* const pairs = pairs_memory.as<int32_t>();
  auto* const sums = sums_memory.as<int64_t>();
  const __m128i order = panel_depth(weights) == 4 ? _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15)
                                                  : _mm_setr_epi8(0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15);
  for (int64_t r = 0; r < count; ++r) {
    const auto* codes = reinterpret_cast<const uint8_t*>(row<uint32_t>(activations.values, r));
    int32_t* out = pairs + r * stride;
    sums[r] = activations.format == LOWBIT_UINT8 ? spread_row<false>(codes, length, order, out)
                                                 : spread_row<true>(codes, length, order, out);
  }
  *rows = {pairs, stride, sums};
  return {};
}

Status widen(Stream& stream, const ActivationOperand& activations, int64_t length, WideRows* rows) {
  const int64_t count = row_count(activations.values), stride = ceil_div(length, 8) * 8;
  Location memory;
  LOWBIT_TRY(stream.scratch(static_cast<size_t>(count * stride) * sizeof(double), &memory));
  auto* const values = memory.as<double>();
  for (int64_t r = 0; r < count; ++r) {
    const float* from = row<float>(activations.values, r);
    double* to = values + r * stride;
    for (int64_t i = 0; i < length; ++i) to[i] = from[i];
    std::fill(to + length, to + stride, 0.0);
  }
  *rows = {values, stride};
  return {};
}

void Epilogue::operator()(const float* sums, int64_t column, int64_t count, float* out) const {
  const __m256 activation = _mm256_set1_ps(scale_activation), zero = _mm256_setzero_ps();
  const __m256 limit = _mm256_set1_ps(threshold.value_or(0.0f));
  for (int64_t i = 0; i < count; i += 8) {
    const auto left = static_cast<int32_t>(std::min<int64_t>(8, count - i));
    const __m256i valid = _mm256_cmpgt_epi32(_mm256_set1_epi32(left), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    const __m256 weight =
        per_channel ? _mm256_maskload_ps(scale_weight + column + i, valid) : _mm256_set1_ps(*scale_weight);
    __m256 result = _mm256_mul_ps(_mm256_loadu_ps(sums + i), _mm256_mul_ps(activation, weight));
    if (threshold) {
      // max(d, 0) keeps its second operand, d, when d is NaN; and 0 is +0 where d is -0, since max returns the second
      // of two zeros: add +0 to it.
      const __m256 d = _mm256_sub_ps(result, limit);
      result = _mm256_add_ps(_mm256_max_ps(zero, d), zero);
    }
    _mm256_maskstore_ps(out + i, valid, result);
  }
}

}  // namespace lowbit::core::avx2
