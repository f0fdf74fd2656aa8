// rho_compress, bound by memory: 4 bytes in and 1 and 1/8 at most out a value over the bandwidth of a copy; about 0.9
// operations a value (AVX2), four a cycle. As many blocks as a vector has lanes go together; their scales are worked
// out in one vector, a lane each, and their codes from the nearest cache. Threads take whole batches.
#include "cpu/floats.h"
#include "cpu/kernels.h"
#include "cpu/machine.h"
#include "cpu/runs.h"
#include "cpu/with_format.h"

namespace lowbit::core::LOWBIT_ISA {
namespace {

constexpr int64_t kBlock = LOWBIT_RHO_BLOCK;
constexpr int64_t kBatch = kWidth * kBlock;  // values
constexpr int kBlockVectors = kBlock / kWidth;
constexpr double kNanosecondsPerValue = 0.25;  // of one thread

// A block to one vector, over strides of 16 ... kWidth.
template <typename Vector, typename Op>
Vector folded(Vector (&v)[kBlockVectors], Op op) {
  for (int stride = kBlockVectors / 2; stride > 0; stride /= 2) {
    for (int i = 0; i < stride; ++i) v[i] = op(v[i], v[i + stride]);
  }
  return v[0];
}

// The scales of a batch's blocks, a lane each. `mean` is 1/n.
template <lowbit_format E>
Float scales_of(const float* x, Float mean) {
  const auto all = [&](auto of, auto op) {
    decltype(of(Float{})) blocks[kWidth];
    for (int b = 0; b < kWidth; ++b) {
      decltype(of(Float{})) block[kBlockVectors];
      for (int i = 0; i < kBlockVectors; ++i) block[i] = of(load(x + b * kBlock + i * kWidth));
      blocks[b] = folded(block, op);
    }
    return across_each(blocks, op);
  };
  if constexpr (E == LOWBIT_INT8) {
    const Int top = all(magnitude_bits, [](Int a, Int b) { return larger(a, b); });
    return settled(reinterpret_cast<Float>(top) * static_cast<float>(1.0 / LOWBIT_QMAX_INT8));
  } else {
    return settled(all(magnitude<false>, [](Float a, Float b) { return a + b; }) * mean);
  }
}

// The code bytes of 4 * kWidth values from value i on.
template <typename Codes>
Bytes bytes_at(const float* x, int64_t i, Codes codes) {
  const auto at = [&](int64_t k) { return codes(load(x + i + k * kWidth), (i + k * kWidth) / kBlock); };
  return low_bytes<true>(at(0), at(1), at(2), at(3));
}

// No clamp: a product of a block's value and 1/s rounds to 127 at most.
template <bool kStream>
void code_int8(const float* x, Float scales, uint8_t* packed) {
  float inverse[kWidth], finite[kBatch];
  const Float one_over = 1.0f / scales;
  std::memcpy(inverse, &one_over, sizeof(inverse));
  if (bits_of(scales != scales) != 0) [[unlikely]] {  // their values are made 0, and so are their codes
    std::memcpy(finite, x, sizeof(finite));
    for (int b = 0; b < kWidth; ++b) {
      if (inverse[b] == inverse[b]) continue;
      std::memset(finite + b * kBlock, 0, kBlock * sizeof(float));
      inverse[b] = 0;
    }
    x = finite;
  }
  const auto codes = [&](Float value, int64_t block) { return rounded(value * inverse[block]); };
  for (int64_t i = 0; i < kBatch; i += kVectorBytes) store<kStream>(packed + i, bytes_at(x, i, codes));
}

// Nothing is as large as a scale that is NaN: all codes are 0, as they should be.
template <bool kStream>
void code_ternary(const float* x, Float scales, uint8_t* packed) {
  float scale[kWidth];
  std::memcpy(scale, &scales, sizeof(scale));
  const auto codes = [&](Float value, int64_t block) { return (value <= -scale[block]) - (value >= scale[block]); };
  const auto fours = [&](int64_t i) {  // 2 bits each, in the low byte of a word
    Word four = reinterpret_cast<Word>(bytes_at(x, i, codes) + 1);
    four |= four >> 6;
    four |= four >> 12;
    return reinterpret_cast<Int>(four & 0xff);
  };
  for (int64_t i = 0; i < kBatch; i += 4 * kVectorBytes) {
    store<kStream>(packed + i / 4, low_bytes<false>(fours(i), fours(i + kVectorBytes), fours(i + 2 * kVectorBytes),
                                                    fours(i + 3 * kVectorBytes)));
  }
}

// At least 0 or, where the scale is NaN, at least NaN, which nothing is.
template <bool kStream>
void code_binary(const float* x, Float scales, uint8_t* packed) {
  float least[kWidth];
  const Float zero = scales * 0.0f;
  std::memcpy(least, &zero, sizeof(least));
  uint32_t bits[kWidth] = {};
  for (int b = 0; b < kWidth; ++b) {
    for (int i = 0; i < kBlockVectors; ++i) {
      bits[b] |= bits_of(load(x + b * kBlock + i * kWidth) >= least[b]) << (i * kWidth);
    }
  }
  Word words;
  std::memcpy(&words, bits, sizeof(words));
  store<kStream>(packed, words);
}

template <lowbit_format E, bool kStream>
void compress_batch(const float* x, Float mean, uint8_t* packed, float* scales) {
  const Float s = scales_of<E>(x, mean);
  store<kStream>(scales, s);
  if constexpr (E == LOWBIT_INT8) code_int8<kStream>(x, s, packed);
  if constexpr (E == LOWBIT_TERNARY) code_ternary<kStream>(x, s, packed);
  if constexpr (E == LOWBIT_BINARY) code_binary<kStream>(x, s, packed);
}

template <lowbit_format E, bool kStream>
Status compress(Stream& stream, const RhoCompress& op) {
  const int64_t length = row_length(op.input), batches = ceil_div(op.n, kBatch);
  const bool one_run = is_one_run(op.input);
  const auto row_of = [&](int64_t j) { return row<float>(op.input, j); };
  const int parts = cpu::parts_for(stream, batches, kNanosecondsPerValue * static_cast<double>(op.n));
  cpu::for_parts(parts, batches, [&](int, int64_t first, int64_t last) {
    float mean[kWidth];
    for (float& c : mean) c = 1.0f / kBlock;
    for (int64_t batch = first; batch < last; ++batch) {
      const int64_t at = batch * kBatch, count = op.n - at < kBatch ? op.n - at : kBatch;
      auto* packed = row<uint8_t>(op.packed, 0) + packed_size(E, at);
      float* scales = row<float>(op.scales, 0) + at / kBlock;
      if (count == kBatch && one_run) {
        prefetch(row_of(0) + at + 2 * kBatch, kBatch * static_cast<int>(sizeof(float)));
        compress_batch<E, kStream>(row_of(0) + at, load(mean), packed, scales);
        continue;
      }
      float values[kBatch] = {}, some_scales[kWidth];
      uint8_t some_packed[kBatch];
      for_runs(length, row_of, at, count, [&](const float* from, int64_t i, int64_t run) {
        std::memcpy(values + i, from, static_cast<size_t>(run) * sizeof(float));
      });
      if (count % kBlock != 0) mean[count / kBlock] = static_cast<float>(1.0 / static_cast<double>(count % kBlock));
      compress_batch<E, false>(values, load(mean), some_packed, some_scales);
      if (count % codes_per_byte(E) != 0) {
        some_packed[packed_size(E, count) - 1] &= (1 << (8 / codes_per_byte(E) * (count % codes_per_byte(E)))) - 1;
      }
      std::memcpy(packed, some_packed, static_cast<size_t>(packed_size(E, count)));
      std::memcpy(scales, some_scales, static_cast<size_t>(ceil_div(count, kBlock)) * sizeof(float));
    }
    fence<kStream>();
  });
  return {};
}

template <lowbit_format E>
Status compress(Stream& stream, const RhoCompress& op) {
  const bool whole = is_aligned(row<uint8_t>(op.packed, 0)) && is_aligned(row<float>(op.scales, 0));
  const bool streamed = whole && packed_size(E, op.n) > stream.device().most_cached();
  return streamed ? compress<E, true>(stream, op) : compress<E, false>(stream, op);
}

}  // namespace

Status rho_compress(Stream& stream, const RhoCompress& op) {
  return with_format(op.encoding, [&]<lowbit_format E>() { return compress<E>(stream, op); });
}

}  // namespace lowbit::core::LOWBIT_ISA
