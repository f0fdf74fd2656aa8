// The decoder tail of one row of activations that is mostly zero: only those rows of a panel are read that meet a code
// other than 0. Zeros add nothing, so no bit changes.
//
// 6 % of the Hatchling's x * y is not zero. A row of a panel is 128 bytes over 4 steps of K (int8), 16 (ternary) or 32
// (binary): if the codes fell anywhere, 22 %, 63 % or 86 % of the rows would be needed. A workgroup lists those of its
// slice of K in shared memory, which costs reading the activations, 1 byte for 32 weights, and gathers them. A list of
// every row is as right as a short one, only slower than project_rows.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "rows.glsl"

const uint kMostListed = 2048u;  // rows of a slice: vulkan/project_sparse.cpp

shared uint listed[kMostListed];  // segment << 16 | row, within the slice
shared uint listed_count;

void list_needed(Slice slice) {
  if (gl_LocalInvocationIndex == 0u) listed_count = 0u;
  barrier();
  for (uint i = gl_LocalInvocationIndex; i < slice.segments * slice.rows; i += gl_WorkGroupSize.x) {
    const uint segment = i / slice.rows, row = i % slice.rows;
    const int left = int(push.K) - int((slice.row + row) * kDepth);
    uint any = 0u;
    [[unroll]] for (uint j = 0u; j < kQuads; ++j) {
      any |= load_quad(places[0] + segment * segment_values() + row * kQuads + j, left - int(4u * j));
    }
    if (any != 0u) listed[atomicAdd(listed_count, 1u)] = segment << 16 | row;
  }
  barrier();
}

void main() {
  const Tile tile = tile_of_group(1u, 1u);
  if (!tile.is_there) return;
  const Slice slice = slice_at(tile.slice);
  const uint panel = panel_place(tile.z, tile.panel, slice);
  const uint c = gl_LocalInvocationIndex % kRowChunks, lane = gl_LocalInvocationIndex / kRowChunks;
  begin_sums(tile, slice);
  list_needed(slice);

  for (uint first = lane; first < listed_count; first += kLanes * kBatch) {
    uvec4 chunks[kBatch];
    uint segments[kBatch], rows[kBatch];
    [[unroll]] for (uint u = 0u; u < kBatch; ++u) {
      const uint entry = listed[min(first + u * kLanes, listed_count - 1u)];  // the last again, rather than none
      segments[u] = entry >> 16;
      rows[u] = entry & 0xffffu;
      chunks[u] = weights[panel + segments[u] * segment_chunks() + chunk_place(slice.row + rows[u], c)];
    }
    [[unroll]] for (uint u = 0u; u < kBatch; ++u) {
      if (first + u * kLanes >= listed_count) break;
      const uint at = segments[u] * segment_values() + rows[u] * kQuads;
      const int left = int(push.K) - int((slice.row + rows[u]) * kDepth);
      if (left >= int(kDepth)) {
        multiply(chunks[u], at);
      } else {
        multiply_some(chunks[u], at, left);
      }
    }
  }
  end_sums(tile);
}
