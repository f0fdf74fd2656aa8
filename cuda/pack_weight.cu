// pack_weight: input [..., K, N] f32 -> codes of 8, 2 or 1 bits in the C order of the tensor, and a scale a channel
// (column) or one for the tensor, bit for bit docs/numerics.md. Weights are packed once, so this is plain rather than
// fast: three passes read 12 bytes a value, 2.5 ns a thousand values at an H200's 4.8 TB/s were all coalesced, with
// a few dozen operations a value.
//
// Scales, then checks, then outputs. What is refused (a value that is not finite, a sum that overflows) is known before
// the outputs are touched: a verdict of the call's own decides, so that one call's bad data spoils no other's.
#include "groups.h"
#include "refusal.h"

namespace lowbit::core::cuda {
namespace {

constexpr int kThreads = 256;

struct Problem {
  const float* input;  // [rows = matrices * K][N], stride apart
  int64_t rows, K, N, stride;
  int64_t channels;  // scales: matrices * N, or 1
  lowbit_format format;

  __host__ __device__ int64_t count() const { return rows * N; }
  __device__ float value(int64_t i) const { return input[i / N * stride + i % N]; }
  __device__ int64_t channel(int64_t i) const { return channels == 1 ? 0 : i / (K * N) * N + i % N; }
};

// A channel is a group of K rows of one value; the tensor is one of all its rows, or of one where there are no gaps.
Groups groups_of(const Problem& p, bool per_channel) {
  if (per_channel) return {p.input, {p.N, p.K * p.stride, 1, p.stride}, p.K, 1, false};
  const bool is_dense = p.stride == p.N;
  const int64_t rows = is_dense ? 1 : p.rows, n = is_dense ? p.count() : p.N;
  return {p.input, {1, 0, 0, p.stride}, rows, n, is_aligned_16(p.input) && n % kWord == 0 && p.stride % kWord == 0};
}

__global__ void __launch_bounds__(kThreads)
    check(const Problem p, const float* const scales, const Refusal overflow, unsigned long long* const verdict) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < p.count() && (__float_as_uint(p.value(i)) & LOWBIT_INFINITY_BITS) == LOWBIT_INFINITY_BITS) {
    refuse(verdict, Refusal::weight_value, i);
  }
  if (i < p.channels && !(scales[i] > 0)) refuse(verdict, overflow, i);  // a NaN; values come first
}

// The bits of a code as they are stored.
__device__ uint32_t stored_code(float x, float scale, lowbit_format format) {
  switch (format) {
    case LOWBIT_BINARY:
      return x >= 0;
    case LOWBIT_TERNARY:
      return fabsf(x) < scale ? 1 : x >= 0 ? 2 : 0;
    default:
      return Coder(__frcp_rn(scale), {-LOWBIT_QMAX_INT8, LOWBIT_QMAX_INT8}).code(x) & 0xff;
  }
}

// A thread a byte of codes, and the scales of the same numbers: there are no more of them than values.
__global__ void __launch_bounds__(kThreads)
    write_codes(const Problem p, const float* const scales, const unsigned long long* const verdict,
                unsigned long long* const refused, uint8_t* const packed, float* const scales_out) {
  const int64_t byte = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (*verdict != 0) {
    if (byte == 0) atomicMax(refused, *verdict);
    return;
  }
  const int per_byte = static_cast<int>(codes_per_byte(p.format)), bits = 8 / per_byte;
  uint32_t codes = 0;
  for (int j = 0; j < per_byte; ++j) {
    const int64_t i = byte * per_byte + j;
    if (i < p.count()) codes |= stored_code(p.value(i), scales[p.channel(i)], p.format) << bits * j;
    if (i < p.channels) scales_out[i] = scales[i];
  }
  if (byte * per_byte < p.count()) packed[byte] = static_cast<uint8_t>(codes);
}

}  // namespace

Status pack_weight(Stream& stream, const PackWeight& op) {
  const int64_t channels = op.per_channel ? op.matrices * op.N : 1;
  const Problem p{row<float>(op.input, 0), op.matrices * op.K, op.K, op.N, op.input.row_stride, channels, op.format};
  const Groups groups = groups_of(p, op.per_channel);
  const Scaling scaling =
      op.format == LOWBIT_INT8 ? scaling_of_codes(op.format, op.rule, groups.size()) : scaling_of_signs(groups.size());
  Location scales_memory, verdict_memory;
  LOWBIT_TRY(stream.scratch(static_cast<size_t>(p.channels) * sizeof(float), &scales_memory));
  LOWBIT_TRY(stream.scratch(sizeof(unsigned long long), &verdict_memory));
  auto* const scales = scales_memory.as<float>();
  auto* const verdict = verdict_memory.as<unsigned long long>();

  CudaStream& on = static_cast<CudaStream&>(stream);
  const CurrentDevice current(on.cuda_device().ordinal());
  LOWBIT_TRY(on.attempt(cudaMemsetAsync(verdict, 0, sizeof(*verdict), on.handle()), "clearing the verdict"));
  LOWBIT_TRY(group_scales(stream, groups, p.channels, scaling, scales));
  const auto blocks = [](int64_t threads) { return static_cast<unsigned>(ceil_div(threads, kThreads)); };
  const Refusal overflow = op.per_channel ? Refusal::channel_sum : Refusal::tensor_sum;
  LOWBIT_TRY(launch<check>(stream, {blocks(p.count()), kThreads}, p, scales, overflow, verdict));
  return launch<write_codes>(stream, {blocks(packed_size(p.format, p.count())), kThreads}, p, scales, verdict,
                             watch_refusals(stream), row<uint8_t>(op.packed, 0), row<float>(op.scales, 0));
}

}  // namespace lowbit::core::cuda
