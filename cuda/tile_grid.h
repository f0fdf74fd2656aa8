// The grid of a kernel that makes tiles of outputs: along x, which alone is long enough; the tiles of all rows of
// activations first, so that blocks which run together share weights.
#pragma once

#include "launch.h"
#include "problem.h"

namespace lowbit::core::cuda {

struct TileGrid {
  Divisor rows, columns;  // tiles of a matrix

  struct Place {
    int row, column, z;
  };
  __device__ __forceinline__ Place place() const {
    const int index = static_cast<int>(blockIdx.x), rest = rows.divide(index), z = columns.divide(rest);
    return {index - rest * rows.value, rest - z * columns.value, z};
  }
  unsigned blocks(const Problem& p) const { return static_cast<unsigned>(rows.value * columns.value * p.Z); }
};

inline Status make_tile_grid(const Problem& p, int64_t rows, int64_t columns, TileGrid* grid) {
  LOWBIT_TRY(check_blocks(rows * columns * p.Z));
  *grid = {Divisor(static_cast<int>(rows)), Divisor(static_cast<int>(columns))};
  return {};
}

}  // namespace lowbit::core::cuda
