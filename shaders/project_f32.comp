// Projections of float activations on packed weights, sums in f32: parity class bounded.
//
// Bound by arithmetic: a multiplication and an addition for each weight and row of activations, and unpacking it; on
// integers some 100 operations. It is here to be right on every device rather than fast: rows of activations share
// nothing. A workgroup is 8 chunks across a panel by 16 lanes along K; a lane adds up its own steps in order, then the
// lanes are added in order, then the slices. Codes of 0 are multiplied too: infinity times 0 is a NaN.
#version 460
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 5
#include "projection.glsl"
#include "store.glsl"

layout(binding = 0, std430) readonly restrict buffer Values { uint values[]; };
layout(binding = 1, std430) readonly restrict buffer Weights { uvec4 weights[]; };

const uint kLanes = gl_WorkGroupSize.x / kRowChunks;

shared uint lane_sums[gl_WorkGroupSize.x * 4u];  // [lane][column]

// Of step i of the word: step 4j + b has the j-th bits of byte b.
int code_at(uint word, uint i) {
  const int at = int(8u * (i % 4u) + BITS % 8u * (i / 4u));
  if (BITS == 8u) return bitfieldExtract(int(word), at, 8);
  const int code = int(bitfieldExtract(word, at, int(BITS)));
  return BITS == 2u ? code - 1 : 2 * code - 1;
}

uint add_product(uint sum, uint a, uint word, uint i) {
  return f32_add(sum, f32_mul(a, f32_from_int(code_at(word, i))));
}

void main() {
  const Tile tile = tile_of_group(1u, 1u);
  if (!tile.is_there) return;
  const Slice slice = slice_at(tile.slice);
  const uint panel = panel_place(tile.z, tile.panel, slice), place = value_place(tile.m, tile.z, slice, kDepth);
  const uint c = gl_LocalInvocationIndex % kRowChunks, lane = gl_LocalInvocationIndex / kRowChunks;

  uvec4 sums = uvec4(0u);
  for (uint index = lane; index < slice.segments * slice.rows; index += kLanes) {
    const uint segment = index / slice.rows, row = index % slice.rows;
    const uvec4 chunk = weights[panel + segment * segment_chunks() + chunk_place(slice.row + row, c)];
    const uint at = place + segment * segment_values() + row * kDepth;
    const uint steps = min(kDepth, push.K - (slice.row + row) * kDepth);
    for (uint i = 0u; i < steps; ++i) {
      const uint a = values[at + i];
      sums.x = add_product(sums.x, a, chunk.x, i);
      sums.y = add_product(sums.y, a, chunk.y, i);
      sums.z = add_product(sums.z, a, chunk.z, i);
      sums.w = add_product(sums.w, a, chunk.w, i);
    }
  }
  const uint first = lane * kPanelColumns + 4u * c;
  lane_sums[first] = sums.x;
  lane_sums[first + 1u] = sums.y;
  lane_sums[first + 2u] = sums.z;
  lane_sums[first + 3u] = sums.w;
  barrier();
  const uint column = gl_LocalInvocationIndex;
  if (column >= kPanelColumns) return;
  uint sum = lane_sums[column];
  for (uint l = 1u; l < kLanes; ++l) sum = f32_add(sum, lane_sums[l * kPanelColumns + column]);
  store_sum(tile.m, tile.z, tile.panel * kPanelColumns + column, tile.slice, sum, sum);
}
