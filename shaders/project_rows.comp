// Projections of few rows of activations, the weights read once in their packed form.
//
// One row, K x N weights: K N / codes a byte over the memory's speed; 8192 x 8192 ternary is 16.8 MB, 37 us at an RTX
// 5060's 448 GB/s. Its 16.8 M products of four with their shifts, masks and sums of activations, some 3.3 each, take
// 7 us at 8 T instructions a second. So what decides is how much is under way: an invocation asks for four chunks of
// 16 bytes before it uses the first, a workgroup for 8 KB, and K is cut into slices until there are some thousand
// workgroups.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "rows.glsl"

void main() {
  const Tile tile = tile_of_group(ROWS, 1u);
  if (!tile.is_there) return;
  const Slice slice = slice_at(tile.slice);
  const uint panel = panel_place(tile.z, tile.panel, slice);
  const uint c = gl_LocalInvocationIndex % kRowChunks, lane = gl_LocalInvocationIndex / kRowChunks;
  begin_sums(tile, slice);

  const uint count = slice.segments * slice.rows, reach = kLanes * (kBatch - 1u);
  for (uint first = lane; first < count; first += kLanes * kBatch) {
    const uint segment = slice.segments == 1u ? 0u : first / slice.rows, row = first - segment * slice.rows;
    if (row + reach < slice.rows && (slice.row + row + reach + 1u) * kDepth <= push.K) {
      const uint from = panel + segment * segment_chunks(), at = segment * segment_values();
      uvec4 chunks[kBatch];
      [[unroll]] for (uint u = 0u; u < kBatch; ++u) {
        chunks[u] = weights[from + chunk_place(slice.row + row + u * kLanes, c)];
      }
      [[unroll]] for (uint u = 0u; u < kBatch; ++u) multiply(chunks[u], at + (row + u * kLanes) * kQuads);
    } else {
      [[dont_unroll]] for (uint i = first; i < min(first + reach + 1u, count); i += kLanes) {
        const uint of = i / slice.rows, at = i % slice.rows;
        multiply_some(weights[panel + of * segment_chunks() + chunk_place(slice.row + at, c)],
                      of * segment_values() + at * kQuads, int(push.K) - int((slice.row + at) * kDepth));
      }
    }
  }
  end_sums(tile);
}
