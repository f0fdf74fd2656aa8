#include "problem.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace lowbit::core::vulkan {
namespace {

// Sizes are rounded up to steps and tiles in 32 bits.
constexpr int64_t kMost = int64_t{1} << 30;
constexpr int64_t kChunkBytes = 16, kRowChunks = kPanel32RowBytes / kChunkBytes;
constexpr uint32_t kHostScale = 1, kScaleOfRow = 2, kThreshold = 4, kBatchIsT = 8;  // flags

Status check_size(const char* operation, const char* name, int64_t size) {
  if (size <= kMost) return {};
  return {LOWBIT_UNSUPPORTED,
          fmt::format("{}: {} is {}, the vulkan backend takes at most {}", operation, name, size, kMost)};
}

// Elements first .. end - 1 of `size` bytes each, from `offset` bytes on.
Range range_of(const void* data, uint64_t offset, int64_t size, int64_t first, int64_t end) {
  return {buffer_of(data), offset + static_cast<uint64_t>(first * size), static_cast<uint64_t>((end - first) * size)};
}

Problem common(const char* operation, const ActivationOperand& input, const Weight& weight, const Tensor& output,
               int64_t B, int64_t T, int64_t K, int64_t N) {
  const WeightShape& shape = weight.shape();
  const int64_t depth = word_codes(weight.format());
  return {
      .operation = operation,
      .input = input,
      .weight = &weight,
      .output = output,
      .threshold = {},
      .M = B * T,
      .T = T,
      .K = K,
      .N = N,
      .Z = 1,
      .S = 1,
      .batch_rows = 0,
      .head_rows = 0,
      .scale_batch = 0,
      .depth = depth,
      .row_words = input.format == LOWBIT_F32 ? depth : depth / LOWBIT_CODES_PER_WORD,
      .panel_chunks = panel32_bytes(weight.format(), shape.K) / kChunkBytes,
      .weight_panels = ceil_div(shape.N, kPanel32Columns),
  };
}

}  // namespace

// ---- Where operands lie ---------------------------------------------------------------------------------------------

Problem::Place Problem::last_of(int64_t slice) const {
  const Place begin = begin_of(slice);
  return {std::min(begin.segment + slices.segments, S) - 1, std::min(begin.row + slices.rows, segment_rows()) - 1};
}

int64_t Problem::value_row(int64_t m, int64_t head) const {
  return (m / T * batch_rows + m % T + head * head_rows) * input.values.row_stride;
}

int64_t Problem::group(int64_t m, int64_t z) const { return m / T * scale_batch + m % T + z * head_rows; }

int64_t Problem::output_row(int64_t m, int64_t z) const { return ((m / T * Z + z) * T + m % T) * output.row_stride; }

int64_t Problem::partial(int64_t m, int64_t z, int64_t panel, int64_t slice) const {
  return (((z * M + m) * panels() + panel) * slices.count + slice) * kPanel32Columns;
}

// The rows of activations of a batch and head lie further on than those before, and so do later slices: the first and
// the last word are those of the piece's corners.
Range Problem::values(const Piece& piece) const {
  const Place begin = begin_of(piece.slices.first), last = last_of(piece.slices.last());
  const int64_t first = value_row(piece.m.first, piece.z.first + begin.segment) + begin.row * row_words;
  const int64_t end =
      value_row(piece.m.last(), piece.z.last() + last.segment) + std::min((last.row + 1) * row_words, segment_words());
  return range_of(input.values.data, input.values.offset, sizeof(uint32_t), first, end);
}

Range Problem::weights(const Piece& piece) const {
  const Place begin = begin_of(piece.slices.first), last = last_of(piece.slices.last());
  const int64_t first = (piece.z.first + begin.segment) * matrix_chunks() + piece.panels.first * panel_chunks;
  const int64_t end = (piece.z.last() + last.segment) * matrix_chunks() + piece.panels.last() * panel_chunks;
  return range_of(weight->packed(), 0, kChunkBytes, first + begin.row * kRowChunks, end + (last.row + 1) * kRowChunks);
}

Range Problem::input_scales(const Piece& piece) const {
  const Tensor& scales = input.scales;
  if (scales.data == nullptr) return weight_scales(piece);  // a binding all the same
  if (row_length(scales) == 1) return range_of(scales.data, scales.offset, sizeof(float), 0, 1);
  return range_of(scales.data, scales.offset, sizeof(float), group(piece.m.first, piece.z.first),
                  group(piece.m.last(), piece.z.last()) + 1);
}

Range Problem::weight_scales(const Piece& piece) const {
  if (!weight->per_channel()) return range_of(weight->scales(), 0, sizeof(float), 0, 1);
  const int64_t columns = weight->shape().N;
  return range_of(weight->scales(), 0, sizeof(float), piece.z.first * columns + piece.panels.first * kPanel32Columns,
                  piece.z.last() * columns + std::min(piece.panels.end() * kPanel32Columns, N));
}

Range Problem::outputs(const Piece& piece) const {
  return range_of(output.data, output.offset, sizeof(float),
                  output_row(piece.m.first, piece.z.first) + piece.panels.first * kPanel32Columns,
                  output_row(piece.m.last(), piece.z.last()) + std::min(piece.panels.end() * kPanel32Columns, N));
}

Range Problem::partials(const Location& partials, const Piece& piece) const {
  const int64_t first = partial(piece.m.first, piece.z.first, piece.panels.first, piece.slices.first);
  const int64_t last = partial(piece.m.last(), piece.z.last(), piece.panels.last(), piece.slices.last());
  return range_of(partials.data, partials.offset, sizeof(uint32_t), first, last + kPanel32Columns);
}

size_t Problem::partial_size() const { return sizeof(uint32_t) * static_cast<size_t>(partial(0, Z, 0, 0)); }

int64_t Problem::work(const Piece& piece) const {
  const int64_t rows = piece.slices.count * slices.segments * slices.rows;
  return piece.z.count * piece.m.count * piece.panels.count * kPanel32Columns * rows * depth;
}

ProjectionPush Problem::push(const Piece& piece) const {
  const auto word = [](int64_t value) { return static_cast<uint32_t>(value); };  // strides modulo 2^32
  const bool has_scale_a_row = input.scales.data != nullptr && row_length(input.scales) != 1;
  return {
      .m_first = word(piece.m.first),
      .m_count = word(piece.m.count),
      .z_first = word(piece.z.first),
      .z_count = word(piece.z.count),
      .panel_first = word(piece.panels.first),
      .panel_count = word(piece.panels.count),
      .slice_first = word(piece.slices.first),
      .slice_count = word(piece.slices.count),
      .T = word(T),
      .K = word(K),
      .N = word(N),
      .M = word(M),
      .Z = word(Z),
      .S = word(S),
      .slice_segments = word(slices.segments),
      .slice_rows = word(slices.rows),
      .value_stride = word(input.values.row_stride),
      .batch_rows = word(batch_rows),
      .head_rows = word(head_rows),
      .panel_chunks = word(panel_chunks),
      .panels = word(weight_panels),
      .flags = (input.scales.data == nullptr ? kHostScale : 0) | (has_scale_a_row ? kScaleOfRow : 0) |
               (threshold ? kThreshold : 0) | (scale_batch == T ? kBatchIsT : 0),
      .input_scale = std::bit_cast<uint32_t>(input.scale),
      .weight_columns = weight->per_channel() ? word(weight->shape().N) : 0,
      .out_stride = word(output.row_stride),
      .threshold = std::bit_cast<uint32_t>(threshold.value_or(0.0f)),
  };
}

// ---- The two operations ---------------------------------------------------------------------------------------------

Status make_problem(const LowrankProjection& op, Problem* problem) {
  LOWBIT_TRY(check_size("lowrank_projection", "B * max(H, Hi) * T", op.B * std::max(op.H, op.Hi) * op.T));
  LOWBIT_TRY(check_size("lowrank_projection", "E", op.E));
  LOWBIT_TRY(check_size("lowrank_projection", "L", op.weight->shape().N));
  LOWBIT_TRY(check_size("lowrank_projection", "H", op.H));
  *problem = common("lowrank_projection", op.input, *op.weight, op.output, op.B, op.T, op.E, op.Lo);
  problem->threshold = op.threshold;
  problem->batch_rows = problem->scale_batch = op.Hi * op.T;
  problem->head_rows = op.Hi == 1 ? 0 : op.T;
  problem->Z = op.H;
  return {};
}

Status make_problem(const DecoderTail& op, Problem* problem) {
  LOWBIT_TRY(check_size("decoder_tail", "B * H * T", op.B * op.H * op.T));
  LOWBIT_TRY(check_size("decoder_tail", "l", op.l));
  LOWBIT_TRY(check_size("decoder_tail", "D", op.D));
  LOWBIT_TRY(check_size("decoder_tail", "H * l", op.H * op.l));
  *problem = common("decoder_tail", op.input, *op.weight, op.output, op.B, op.T, op.l, op.D);
  problem->batch_rows = op.H * op.T;
  problem->head_rows = problem->scale_batch = op.T;
  problem->S = op.H;
  return {};
}

}  // namespace lowbit::core::vulkan
