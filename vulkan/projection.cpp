#include "projection.h"

#include <fmt/format.h>

#include <algorithm>

#include "shaders/project_finish_float.h"
#include "shaders/project_finish_integer.h"

namespace lowbit::core::vulkan {
namespace {

constexpr int64_t kWantedGroups = 2048;   // that keep a large GPU busy: no device tells how many it runs at once
constexpr int64_t kMostSlices = 64;       // for their sake
constexpr int64_t kMostFinished = 16384;  // that the last pass adds up: turns of its loop

int64_t round_up(int64_t value, int64_t unit) { return ceil_div(value, unit) * unit; }

// So deep that a sum holds, that loops end and that bindings reach each operand of one row of activations and one
// panel; and so shallow, where there are few tiles, that there are enough workgroups.
Slices cut_depth(const Problem& p, const ProjectionKernel& kernel, const Limits& limits) {
  const int64_t reach = limits.reach();
  const int64_t row_bytes = std::max<int64_t>(kPanel32RowBytes, p.row_words * sizeof(uint32_t));
  const int64_t row_work = p.depth * kPanel32Columns * std::min(p.M, kernel.tile_rows) * kernel.cost;
  const int64_t rows = round_up(p.segment_rows(), kernel.step_rows);
  // The last pass binds all slices of a tile. Segments are not cut evenly: at worst there are twice as many slices.
  const int64_t most_slices = std::min(kMostFinished, reach / kPanel32RowBytes);
  const int64_t least = std::max(kernel.least_rows, ceil_div(2 * p.S * rows, most_slices));
  int64_t most = std::min(
      {kernel.most_depth / p.depth, kernel.most_rows, reach / row_bytes, std::max(limits.work / row_work, least)});
  most = std::max(most / kernel.step_rows, int64_t{1}) * kernel.step_rows;

  const int64_t tiles = p.Z * ceil_div(p.panels(), kernel.tile_panels) * ceil_div(p.M, kernel.tile_rows);
  const int64_t wanted = std::clamp(kWantedGroups / tiles, int64_t{1}, kMostSlices);
  const int64_t target = std::min(std::max(ceil_div(p.S * rows, wanted), kernel.least_rows), most);

  Slices slices;
  if (rows <= target) {
    const auto reached = [&](int64_t segment_bytes, int64_t last_bytes) {
      return segment_bytes == 0 ? p.S : 1 + std::max<int64_t>(reach - last_bytes, 0) / segment_bytes;
    };
    slices.rows = p.segment_rows();
    slices.segments = std::min({p.S, target / rows, reached(p.segment_values() * 4, p.segment_words() * 4),
                                reached(p.matrix_chunks() * 16, rows * kPanel32RowBytes)});
  } else {
    slices.rows = round_up(ceil_div(rows, ceil_div(rows, target)), kernel.step_rows);
    slices.parts = ceil_div(p.segment_rows(), slices.rows);
  }
  slices.count = ceil_div(p.S, slices.segments) * slices.parts;
  return slices;
}

// Calls `visit` for pieces that `fits` allows. First z, slices and panels are cut until a piece of one row of
// activations fits, then as many rows as fit are taken at once: so weights are read as few times as can be. Slices of
// several segments are cut before panels, and those of one after: in the order in which weights lie.
//
// `fits` is asked of the bindings and groups, `is_quick` of the time: that is tried on `tile_rows` at once.
template <typename Fits, typename IsQuick, typename Visit>
Status for_each_projection_piece(Recording& record, const Problem& p, int64_t tile_rows, const Fits& fits,
                                 const IsQuick& is_quick, const Visit& visit) {
  const auto piece_of = [&](const Box<4>& box, const Interval& m) {
    return Piece{
        .m = m,
        .z = {box.first[0], box.count[0]},
        .panels = {box.first[2], box.count[2]},
        .slices = {box.first[1] * p.slices.parts + box.first[3], (box.count[1] - 1) * p.slices.parts + box.count[3]}};
  };
  const Box<4> whole{.count = {p.Z, p.slices.count / p.slices.parts, p.panels(), p.slices.parts}};
  return for_each_piece(
      record, whole,
      [&](const Box<4>& box) {
        return fits(piece_of(box, {0, 1})) && is_quick(piece_of(box, {0, std::min(p.M, tile_rows)}));
      },
      [&](const Box<4>& box) {
        return for_each_piece(
            record, Box<1>{.count = {p.M}},
            [&](const Box<1>& rows) {
              const Piece piece = piece_of(box, {rows.first[0], rows.count[0]});
              return fits(piece) && is_quick(piece);
            },
            [&](const Box<1>& rows) {
              return visit(piece_of(box, {rows.first[0], rows.count[0]}));
            });
      });
}

// Adds up the slices of a problem.
Status finish(Recording& record, const Problem& p, Arithmetic arithmetic, const Location& partials) {
  const auto with_all_slices = [&](Piece piece) {
    piece.slices = {0, p.slices.count};
    return piece;
  };
  const auto groups = [](const Piece& piece) {
    return ceil_div(piece.z.count * piece.m.count * piece.panels.count * kPanel32Columns, kThreads);
  };
  Problem outputs = p;  // of which a piece has no slices
  outputs.slices = {};
  const Shader shader = LOWBIT_FLOAT_SHADER(project_finish, arithmetic);
  return for_each_projection_piece(
      record, outputs, 1,
      [&](const Piece& piece) {
        return record.fits({p.partials(partials, with_all_slices(piece)), p.input_scales(piece), p.weight_scales(piece),
                            p.outputs(piece)}) &&
               record.fits(groups(piece));
      },
      [&](const Piece& piece) {
        return groups(piece) == 1 || groups(piece) * kThreads * p.slices.count <= record.limits().work;
      },
      [&](const Piece& piece) {
        const Range sums = p.partials(partials, with_all_slices(piece));
        return record.dispatch(shader, {kThreads, p.weight_bits(), p.is_float()},
                               {sums, sums, p.input_scales(piece), p.weight_scales(piece), p.outputs(piece)},
                               p.push(piece), groups(piece));
      });
}

}  // namespace

Status project(Stream& stream, Problem p, const ProjectionKernel& kernel) {
  Recording record(stream, p.operation);
  p.slices = cut_depth(p, kernel, record.limits());
  if (p.slices.count > kMostFinished) {
    return {LOWBIT_UNSUPPORTED,
            fmt::format(
                "{}: {} products an output take {} slices of what a binding of this device reaches, they may take {}",
                p.operation, p.S * p.K, p.slices.count, kMostFinished)};
  }
  Location partials;
  const bool has_partials = p.slices.count > 1;
  if (has_partials) LOWBIT_TRY(stream.scratch(p.partial_size(), &partials));

  const auto results = [&](const Piece& piece) {
    return has_partials ? p.partials(partials, piece) : p.outputs(piece);
  };
  const auto groups = [&](const Piece& piece) {
    return piece.z.count * piece.slices.count * ceil_div(piece.panels.count, kernel.tile_panels) *
           ceil_div(piece.m.count, kernel.tile_rows);
  };
  const auto fits = [&](const Piece& piece) {
    return record.fits(
               {p.values(piece), p.weights(piece), p.input_scales(piece), p.weight_scales(piece), results(piece)}) &&
           record.fits(groups(piece));
  };
  const auto is_quick = [&](const Piece& piece) {
    return groups(piece) == 1 || p.work(piece) * kernel.cost <= record.limits().work;
  };
  const Constants constants{kernel.group,        p.weight_bits(),     p.input.format != LOWBIT_UINT8,
                            kernel.constants[0], kernel.constants[1], kernel.constants[2]};
  LOWBIT_TRY(for_each_projection_piece(record, p, kernel.tile_rows, fits, is_quick, [&](const Piece& piece) {
    return record.dispatch(
        kernel.shader, constants,
        {p.values(piece), p.weights(piece), p.input_scales(piece), p.weight_scales(piece), results(piece)},
        p.push(piece), groups(piece));
  }));
  return has_partials ? finish(record, p, kernel.arithmetic, partials) : Status();
}

}  // namespace lowbit::core::vulkan
