// quantize_pack on AVX2, bound by memory: two passes over a group, one for the scale and one for the codes; the second
// hits the cache for rows. A scale by absmax is an integer maximum over magnitude bits, which order like the floats and
// put NaN and infinity on top, so one reduction finds both the maximum and bad data. treesum keeps the order of
// docs/numerics.md: 256 lanes are 32 vectors, added up in place; its segments are streamed, so a group may be made of
// any rows.
#include "cpu/avx2/treesum.h"
#include "cpu/kernels.h"
#include "reference/scale.h"

namespace lowbit::core::avx2 {
namespace {

__m256i bits_of(__m256 x) { return _mm256_castps_si256(x); }

// The largest magnitude of `n` values as bits, uint8's negatives counted as 0; and the largest of all, to see bad data.
struct Largest {
  __m256i counted = _mm256_setzero_si256(), any = _mm256_setzero_si256();

  template <bool kUnsigned>
  void add(__m256 x) {
    const __m256i magnitude = _mm256_and_si256(bits_of(x), _mm256_set1_epi32(0x7fffffff));
    any = _mm256_max_epi32(any, magnitude);
    if (kUnsigned) counted = _mm256_max_epi32(counted, bits_of(x));  // negative floats are negative integers
  }
  static uint32_t top(__m256i v) {
    __m128i m = _mm_max_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4e));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0xb1));
    return static_cast<uint32_t>(_mm_cvtsi128_si32(m));
  }
};

__m256 load_some(const float* from, int64_t count) {
  const __m256i valid =
      _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int32_t>(count)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  return _mm256_maskload_ps(from, valid);
}

template <bool kUnsigned>
float scale_of_group(const QuantizePack& op, int64_t group) {
  const int64_t n = row_length(op.input);
  const int qmax = core::qmax(op.format);
  Largest largest;
  for (int64_t j = 0; j < op.groups.rows; ++j) {
    const float* in = row<float>(op.input, op.groups.row(group, j));
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) largest.add<kUnsigned>(_mm256_loadu_ps(in + i));
    if (i < n) largest.add<kUnsigned>(load_some(in + i, n - i));
  }
  const uint32_t any = Largest::top(largest.any);
  if (any >= LOWBIT_INFINITY_BITS) return reference::kNan;
  if (op.rule == LOWBIT_ABSMAX) {
    const float top = std::bit_cast<float>(kUnsigned ? Largest::top(largest.counted) : any);
    return std::max(top * static_cast<float>(1.0 / qmax), reference::kEps);
  }
  TreeSum sum;
  for (int64_t j = 0; j < op.groups.rows; ++j) sum.add<kUnsigned>(row<float>(op.input, op.groups.row(group, j)), n);
  const int64_t count = op.groups.rows * n;
  return reference::mean_scale(sum.total(), count, 2.0, qmax);
}

// Eight codes as int32. The clamp comes before the conversion, which then cannot overflow; on whole bounds it commutes
// with rounding.
__m256i codes_8(__m256 x, __m256 inverse, __m256 bottom, __m256 top) {
  return _mm256_cvtps_epi32(_mm256_min_ps(_mm256_max_ps(_mm256_mul_ps(x, inverse), bottom), top));
}

// The low bytes of 32 codes, in order.
__m256i bytes_32(__m256i a, __m256i b, __m256i c, __m256i d) {
  const __m256i low = _mm256_set1_epi32(0xff);
  const __m256i ab = _mm256_packus_epi32(_mm256_and_si256(a, low), _mm256_and_si256(b, low));
  const __m256i cd = _mm256_packus_epi32(_mm256_and_si256(c, low), _mm256_and_si256(d, low));
  return _mm256_permutevar8x32_epi32(_mm256_packus_epi16(ab, cd), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

void quantize_row(const float* in, int64_t n, float scale, lowbit_format format, uint32_t* out) {
  if (std::isnan(scale)) {
    std::fill_n(out, ceil_div(n, LOWBIT_CODES_PER_WORD), 0u);
    return;
  }
  const auto top_code = static_cast<float>(core::qmax(format));
  const __m256 inverse = _mm256_set1_ps(1.0f / scale), top = _mm256_set1_ps(top_code);
  const __m256 bottom = _mm256_set1_ps(format == LOWBIT_UINT8 ? 0.0f : -top_code);
  const auto codes = [&](__m256 x) { return codes_8(x, inverse, bottom, top); };
  int64_t i = 0;
  for (; i + 32 <= n; i += 32) {
    const float* x = in + i;
    const __m256i bytes = bytes_32(codes(_mm256_loadu_ps(x)), codes(_mm256_loadu_ps(x + 8)),
                                   codes(_mm256_loadu_ps(x + 16)), codes(_mm256_loadu_ps(x + 24)));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i / 4), bytes);
  }
  for (; i < n; i += 8) {  // two words at a time; values past the end load as 0 and code as 0
    const __m256i bytes = bytes_32(codes(load_some(in + i, std::min<int64_t>(8, n - i))), _mm256_setzero_si256(),
                                   _mm256_setzero_si256(), _mm256_setzero_si256());
    const auto two = static_cast<uint64_t>(_mm_cvtsi128_si64(_mm256_castsi256_si128(bytes)));
    out[i / 4] = static_cast<uint32_t>(two);
    if (n - i > 4) out[i / 4 + 1] = static_cast<uint32_t>(two >> 32);
  }
}

}  // namespace

Status quantize_pack(Stream&, const QuantizePack& op) {
  const int64_t n = row_length(op.input);
  for (int64_t g = 0; g < op.groups.count; ++g) {
    const float scale = op.format == LOWBIT_UINT8 ? scale_of_group<true>(op, g) : scale_of_group<false>(op, g);
    row<float>(op.scales, 0)[g] = scale;
    for (int64_t j = 0; j < op.groups.rows; ++j) {
      const int64_t r = op.groups.row(g, j);
      quantize_row(row<float>(op.input, r), n, scale, op.format, row<uint32_t>(op.codes, r));
    }
  }
  return {};
}

}  // namespace lowbit::core::avx2
