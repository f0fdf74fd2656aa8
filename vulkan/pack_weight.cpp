// Scales, then checks, then outputs. What is refused (a value that is not finite, a sum that overflows) is known before
// the outputs are touched: a slot of the call's own decides, so that one call's bad data spoils no other's.
#include <fmt/format.h>

#include "groups.h"
#include "shaders/pack_weight_check.h"
#include "shaders/pack_weight_float.h"
#include "shaders/pack_weight_integer.h"
#include "shaders/pack_weight_scales.h"

namespace lowbit::core::vulkan {
namespace {

struct Packing {
  Location input, packed;
  Location scales;  // in scratch, until the call is known to be good
  Range refused;
  int64_t rows, K, N, stride;  // [rows = matrices * K][N], stride apart
  bool is_per_channel;
  lowbit_format format;

  int64_t count() const { return rows * N; }
  int64_t channels() const { return is_per_channel ? rows / K * N : 1; }
  int64_t bits() const { return 8 / codes_per_byte(format); }
};

// A channel is a group of K rows of one value; the tensor is one of all its rows, or of one where there are no gaps.
Groups groups_of(const Packing& p) {
  if (p.is_per_channel) {
    return {.data = p.input,
            .places = {p.K * p.stride, 1, p.stride},
            .outer = p.rows / p.K,
            .inner = p.N,
            .rows = p.K,
            .n = 1};
  }
  const bool is_dense = p.stride == p.N;
  return {.data = p.input,
          .places = {0, 0, p.stride},
          .outer = 1,
          .inner = 1,
          .rows = is_dense ? 1 : p.rows,
          .n = is_dense ? p.count() : p.N};
}

// ---- Pieces of the weights ------------------------------------------------------------------------------------------

struct PiecePush {
  uint32_t count, columns, stride, row, K, is_per_channel;
};

// Rows by columns: whole rows, or a part of one, since pieces are halved along the rows first. So they are neighbours
// in C order.
struct Piece {
  int64_t first, count;  // weights
  int64_t channel;       // the first that they have
  int64_t lead;          // codes before theirs in the byte where they begin
  Range input, scales, packed;
  PiecePush push;

  Piece(const Packing& p, const Box<2>& box) {
    const int64_t row = box.first[0], column = box.first[1], rows = box.count[0], columns = box.count[1];
    const int64_t matrix = row / p.K, matrices = (row + rows - 1) / p.K - matrix + 1;
    const int64_t per_byte = codes_per_byte(p.format);
    first = row * p.N + column, count = rows * columns;
    channel = p.is_per_channel ? matrix * p.N + column : 0;
    lead = first % per_byte;
    const int64_t byte = first / per_byte;
    input = words_of(p.input, row * p.stride + column, (rows - 1) * p.stride + columns);
    scales = words_of(p.scales, channel, p.is_per_channel ? matrices * columns : 1);
    packed = {buffer_of(p.packed.data), p.packed.offset + static_cast<uint64_t>(byte),
              static_cast<uint64_t>(ceil_div(first + count, per_byte) - byte)};
    push = {word(count), word(columns), word(p.stride), word(row % p.K), word(p.K), p.is_per_channel};
  }
};

template <typename Visit>
Status for_each_piece_of(const Packing& p, Recording& record, const Visit& visit) {
  const auto fits = [&](const Box<2>& box) {
    const Piece piece(p, box);
    return record.fits({piece.input, piece.scales, piece.packed}) && fits_dispatch(record, piece.count, piece.count);
  };
  return for_each_piece(record, Box<2>{.count = {p.rows, p.N}}, fits,
                        [&](const Box<2>& box) { return visit(Piece(p, box)); });
}

// ---- Passes ---------------------------------------------------------------------------------------------------------

struct CheckPush {
  PiecePush piece;
  uint32_t first, channel;
};

Status check(Recording& record, const Packing& p) {
  return for_each_piece_of(p, record, [&](const Piece& piece) {
    return record.dispatch(LOWBIT_SHADER(pack_weight_check), {kThreads}, {piece.input, piece.scales, p.refused},
                           CheckPush{piece.push, word(piece.first), word(piece.channel)},
                           ceil_div(piece.count, kThreads));
  });
}

struct CodesPush {
  PiecePush piece;
  uint32_t lead, owned;
};

template <Arithmetic kArithmetic>
Status write_codes(Recording& record, const Packing& p) {
  const Shader shader = LOWBIT_FLOAT_SHADER(pack_weight, kArithmetic);
  const int64_t per_byte = codes_per_byte(p.format), slots = 4 * per_byte;  // of a word
  return for_each_piece_of(p, record, [&](const Piece& piece) {
    const int64_t end = piece.lead + piece.count;
    const bool is_last = piece.first + piece.count == p.count();  // which has the rest of the last byte
    const int64_t owned = (is_last ? ceil_div(end, per_byte) * per_byte : end) - piece.lead;
    return record.dispatch(shader, {kThreads, word(p.bits())}, {piece.input, piece.scales, p.refused, piece.packed},
                           CodesPush{piece.push, word(piece.lead), word(owned)},
                           ceil_div(ceil_div(end, slots) + 1, kThreads));  // and one, as bytes begin anywhere in a word
  });
}

struct ScalesPush {
  uint32_t count;
};

Status write_scales(Recording& record, const Packing& p, const Location& scales) {
  const auto fits = [&](const Box<1>& box) {
    return record.fits(
               {words_of(p.scales, box.first[0], box.count[0]), words_of(scales, box.first[0], box.count[0])}) &&
           fits_dispatch(record, box.count[0], box.count[0]);
  };
  return for_each_piece(record, Box<1>{.count = {p.channels()}}, fits, [&](const Box<1>& box) {
    return record.dispatch(
        LOWBIT_SHADER(pack_weight_scales), {kThreads},
        {words_of(p.scales, box.first[0], box.count[0]), p.refused, words_of(scales, box.first[0], box.count[0])},
        ScalesPush{word(box.count[0])}, ceil_div(box.count[0], kThreads));
  });
}

// ---- What is refused ------------------------------------------------------------------------------------------------

std::string not_finite(uint32_t index) {
  return fmt::format("pack_weight: input holds a value that is not finite at index {}, weights must be finite", index);
}

std::string channel_sentence(int reason, uint32_t index) {
  if (reason == 0) return not_finite(index);
  return fmt::format("pack_weight: the sum of the magnitudes of channel {} overflows", index);
}

std::string tensor_sentence(int reason, uint32_t index) {
  return reason == 0 ? not_finite(index) : "pack_weight: the sum of the magnitudes of the tensor overflows";
}

}  // namespace

template <Arithmetic kArithmetic>
Status pack_weight(Stream& stream, const PackWeight& op) {
  Packing p{.input = location_of(op.input),
            .packed = location_of(op.packed),
            .rows = op.matrices * op.K,
            .K = op.K,
            .N = op.N,
            .stride = op.input.row_stride,
            .is_per_channel = op.per_channel,
            .format = op.format};
  Recording record(stream, "pack_weight");
  LOWBIT_TRY(record.check_count(p.count()));
  const Groups groups = groups_of(p);
  const Scaling scaling =
      op.format == LOWBIT_INT8 ? scaling_of_codes(op.format, op.rule, groups.size()) : scaling_of_signs(groups.size());
  LOWBIT_TRY(stream.scratch(static_cast<size_t>(p.channels()) * sizeof(float), &p.scales));
  LOWBIT_TRY(record.stream().refusals().watch(op.per_channel ? channel_sentence : tensor_sentence, &p.refused));
  LOWBIT_TRY(group_scales<kArithmetic>(record, groups, scaling, p.scales));
  LOWBIT_TRY(check(record, p));
  LOWBIT_TRY(write_codes<kArithmetic>(record, p));
  return write_scales(record, p, location_of(op.scales));
}

template Status pack_weight<Arithmetic::float32>(Stream&, const PackWeight&);
template Status pack_weight<Arithmetic::integer>(Stream&, const PackWeight&);

}  // namespace lowbit::core::vulkan
