// rho_expand, bound by memory: 4 bytes out and 1 and 1/8 at most in a value over the bandwidth of a copy; about 0.5
// operations a value (AVX2), four a cycle. A code of 2 bits or 1 chooses among its block's four products at most, so
// there is one multiplication a block. Threads take whole blocks. All ternary codes are looked at before anything is
// written: a pass over a sixteenth of the bytes.
#include "cpu/floats.h"
#include "cpu/kernels.h"
#include "cpu/machine.h"
#include "cpu/runs.h"
#include "cpu/with_format.h"
#include "reference/kernels.h"

namespace lowbit::core::LOWBIT_ISA {
namespace {

constexpr int64_t kBlock = LOWBIT_RHO_BLOCK;
constexpr int64_t kTask = 64;                  // blocks
constexpr double kNanosecondsPerValue = 0.25;  // of one thread

// Lane i is i * step.
Word ramp(uint32_t step) {
  Word v{};
  for (int i = 0; i < kWidth; ++i) v[i] = static_cast<uint32_t>(i) * step;
  return v;
}

template <lowbit_format E, bool kStream>
void expand_block(const uint8_t* packed, float scale, float* out) {
  if constexpr (E == LOWBIT_INT8) {
    for (int64_t i = 0; i < kBlock; i += kWidth) store<kStream>(out + i, floats_of(packed + i) * scale);
  } else {
    constexpr int kBits = E == LOWBIT_TERNARY ? 2 : 1;
    Float products;  // of what 2 bits mean, though the second may be the next code's
    for (int i = 0; i < kWidth; ++i) products[i] = static_cast<float>(E == LOWBIT_TERNARY ? i % 4 - 1 : i % 2 * 2 - 1);
    products *= scale;
    for (int64_t i = 0; i < kBlock; i += kWidth) {
      uint32_t word;
      std::memcpy(&word, packed + i * kBits / 32 * 4, sizeof(word));
      const Word codes = reinterpret_cast<Word>(splat(static_cast<int32_t>(word))) >>
                         (ramp(kBits) + static_cast<uint32_t>(i * kBits % 32));
      store<kStream>(out + i, chosen(products, codes));
    }
  }
}

// Whether two bits that make a code are both set in some of `bytes`.
bool holds_code_three(const uint8_t* packed, int64_t bytes) {
  Word found{};
  int64_t i = 0;
  for (; i + kVectorBytes <= bytes; i += kVectorBytes) {
    Word codes;
    std::memcpy(&codes, packed + i, sizeof(codes));
    found |= codes & (codes >> 1);
  }
  uint32_t any = 0;
  for (int k = 0; k < kWidth; ++k) any |= found[k];
  for (; i < bytes; ++i) any |= packed[i] & (packed[i] >> 1);
  return (any & 0x55555555) != 0;
}

bool is_valid(Stream& stream, const RhoExpand& op) {
  const auto* packed = row<uint8_t>(op.packed, 0);
  const int64_t whole = op.n / 4;
  const int parts = cpu::parts_for(stream, whole, 0.02 * static_cast<double>(op.n));
  int invalid = 0;
  cpu::for_parts(parts, whole, [&](int, int64_t first, int64_t last) {
    if (holds_code_three(packed + first, last - first)) __atomic_store_n(&invalid, 1, __ATOMIC_RELAXED);
  });
  const uint8_t rest = op.n % 4 == 0 ? 0 : packed[whole] & ((1 << (2 * (op.n % 4))) - 1);
  return invalid == 0 && !holds_code_three(&rest, 1);
}

template <lowbit_format E, bool kStream>
Status expand(Stream& stream, const RhoExpand& op) {
  const int64_t length = row_length(op.output), tasks = ceil_div(op.n, kTask * kBlock);
  const bool one_run = is_one_run(op.output);
  const auto row_of = [&](int64_t j) { return row<float>(op.output, j); };
  const auto* packed = row<uint8_t>(op.packed, 0);
  const float* scales = row<float>(op.scales, 0);
  const int parts = cpu::parts_for(stream, tasks, kNanosecondsPerValue * static_cast<double>(op.n));
  cpu::for_parts(parts, tasks, [&](int, int64_t first, int64_t last) {
    const int64_t end = last * kTask * kBlock < op.n ? last * kTask * kBlock : op.n;
    int64_t at = first * kTask * kBlock;
    for (; one_run && at + kBlock <= end; at += kBlock) {
      expand_block<E, kStream>(packed + packed_size(E, at), scales[at / kBlock], row_of(0) + at);
    }
    for (; at < end; at += kBlock) {
      const int64_t count = end - at < kBlock ? end - at : kBlock;
      uint8_t codes[kBlock] = {};
      float values[kBlock];
      std::memcpy(codes, packed + packed_size(E, at), static_cast<size_t>(packed_size(E, count)));
      expand_block<E, false>(codes, scales[at / kBlock], values);
      for_runs(length, row_of, at, count, [&](float* to, int64_t i, int64_t run) {
        std::memcpy(to, values + i, static_cast<size_t>(run) * sizeof(float));
      });
    }
    fence<kStream>();
  });
  return {};
}

template <lowbit_format E>
Status expand(Stream& stream, const RhoExpand& op) {
  const bool streamed = is_aligned(row<float>(op.output, 0)) && op.n * 4 > stream.device().most_cached();
  return streamed ? expand<E, true>(stream, op) : expand<E, false>(stream, op);
}

}  // namespace

Status rho_expand(Stream& stream, const RhoExpand& op) {
  if (op.encoding == LOWBIT_TERNARY && !is_valid(stream, op)) return reference::rho_expand(stream, op);  // says where
  return with_format(op.encoding, [&]<lowbit_format E>() { return expand<E>(stream, op); });
}

}  // namespace lowbit::core::LOWBIT_ISA
