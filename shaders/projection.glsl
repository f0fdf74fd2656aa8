// What the kernels of both projections share: the problem, as vulkan/problem.h writes it and with its words, and where
// its operands lie.
//
//   out[z][m][n] = sum_s sum_k a[m][head z + s][k] * w[z + s][k][n]          m = b * T + t < M, n < N
//
// Indices are worked out modulo 2^32 from the first element of what a dispatch binds: a difference that is small comes
// out right though its terms are not.
//
// Weights are in the layout panel32 (host/layout.h). A row of a panel is eight chunks, a uvec4 each: kDepth steps of K
// by four columns. A quad is four steps, that is a word of activations.
#ifndef LOWBIT_PROJECTION_GLSL
#define LOWBIT_PROJECTION_GLSL

#include "dispatch.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint BITS = 8;  // of a weight's code: 8 int8, 2 ternary, 1 binary

const uint kDepth = 32u / BITS, kQuads = kDepth / 4u;  // of a row of a panel
const uint kPanelColumns = 32u, kRowChunks = 8u;

const uint kHostScale = 1u, kScaleOfRow = 2u, kThreshold = 4u, kBatchIsT = 8u;  // flags

layout(push_constant, std430) uniform Push {
  uint origin[BINDINGS];  // bytes
  // The piece that the dispatch works on.
  uint m_first, m_count, z_first, z_count, panel_first, panel_count, slice_first, slice_count;
  uint T, K, N, M, Z, S;
  uint slice_segments, slice_rows;            // of a slice: all of several segments, or some rows of one
  uint value_stride, batch_rows, head_rows;   // words of a row of activations; rows to the next batch and head
  uint panel_chunks, panels;                  // of a matrix of weights
  uint flags, input_scale, weight_columns;    // weight_columns: scales of a matrix, or 0 where one serves all
  uint out_stride, threshold;
} push;

// ---- Slices of K ----------------------------------------------------------------------------------------------------

uint rows_of_segment() { return (push.K + kDepth - 1u) / kDepth; }
uint parts_of_segment() { return (rows_of_segment() + push.slice_rows - 1u) / push.slice_rows; }
uint slices_of_problem() { return (push.S + push.slice_segments - 1u) / push.slice_segments * parts_of_segment(); }

struct Slice {
  uint segment, segments;  // the first, and how many
  uint row, rows;          // of a panel, in each
};

Slice slice_at(uint index) {
  const uint parts = parts_of_segment(), segment = index / parts * push.slice_segments;
  const uint row = index % parts * push.slice_rows;
  return Slice(segment, min(push.slice_segments, push.S - segment), row, min(push.slice_rows, rows_of_segment() - row));
}

// ---- The work of a group --------------------------------------------------------------------------------------------

struct Tile {
  bool is_there;  // there may be more groups than tiles
  uint m, z, panel, slice;
};

// Tiles of `rows` rows of activations and `panels` panels. Those that share weights come one after the other, then
// those whose weights lie one behind the other.
Tile tile_of_group(uint rows, uint panels) {
  const uint row_tiles = (push.m_count + rows - 1u) / rows, panel_tiles = (push.panel_count + panels - 1u) / panels;
  uint index = workgroup_index();
  Tile tile;
  tile.m = push.m_first + index % row_tiles * rows;
  index /= row_tiles;
  tile.slice = push.slice_first + index % push.slice_count;
  index /= push.slice_count;
  tile.panel = push.panel_first + index % panel_tiles * panels;
  tile.z = push.z_first + index / panel_tiles;
  tile.is_there = index / panel_tiles < push.z_count;
  return tile;
}

uint m_end() { return push.m_first + push.m_count; }
uint panel_end() { return push.panel_first + push.panel_count; }

// ---- Operands -------------------------------------------------------------------------------------------------------

// Words from the first activation to row m of a head.
uint value_row(uint m, uint head) {
  return (m / push.T * push.batch_rows + m % push.T + head * push.head_rows) * push.value_stride;
}

// The place in the binding of row m where a slice begins, whose rows of a panel meet `row_words` words each. That of
// its next segment is segment_values() further.
uint value_place(uint m, uint z, Slice slice, uint row_words) {
  const Slice first = slice_at(push.slice_first);
  return push.origin[0] / 4u + value_row(m, z + slice.segment) + slice.row * row_words -
         value_row(push.m_first, push.z_first + first.segment) - first.row * row_words;
}

uint segment_values() { return push.head_rows * push.value_stride; }
uint segment_chunks() { return push.panels * push.panel_chunks; }

// The place in the binding of a panel's row 0, in the first segment of a slice.
uint panel_place(uint z, uint panel, Slice slice) {
  const Slice first = slice_at(push.slice_first);
  return push.origin[1] / 16u + (z + slice.segment - push.z_first - first.segment) * segment_chunks() +
         (panel - push.panel_first) * push.panel_chunks - first.row * kRowChunks;
}

// Chunk c of row r of a panel.
uint chunk_place(uint r, uint c) { return r * kRowChunks + (c ^ 2u * ((r ^ r >> 2) & 3u)); }

#endif
