// What project_rows and project_sparse share: how a workgroup sums the rows of a panel for a few rows of activations.
// Its invocations are 8 chunks across the panel by 16 lanes along K.
#ifndef LOWBIT_ROWS_GLSL
#define LOWBIT_ROWS_GLSL

#define BINDINGS 5
#include "projection.glsl"
#include "products.glsl"
#include "store.glsl"
#include "values.glsl"

layout(constant_id = 3) const uint ROWS = 1;  // of activations

layout(binding = 1, std430) readonly restrict buffer Weights { uvec4 weights[]; };

const uint kLanes = gl_WorkGroupSize.x / kRowChunks;
// Rows of a panel that an invocation has under way: fewer where each of them is more work.
const uint kShare = 16u / (kQuads * ROWS);
const uint kBatch = ROWS == 1u || kShare > 4u ? 4u : kShare == 0u ? 1u : kShare;

shared int lane_sums[gl_WorkGroupSize.x * 4u * ROWS];  // [lane][row][column]

// Of this invocation: where its rows of activations begin, and its sums of four columns.
uint places[ROWS];
ivec4 sums[ROWS];
int activations[ROWS];

void begin_sums(Tile tile, Slice slice) {
  [[unroll]] for (uint m = 0u; m < ROWS; ++m) {
    places[m] = value_place(min(tile.m + m, m_end() - 1u), tile.z, slice, kQuads);
    sums[m] = ivec4(0);
    activations[m] = 0;
  }
}

// Adds the products of a chunk of which all codes are there. `at` leads from the begin of a row of activations to what
// the chunk meets.
void multiply(uvec4 chunk, uint at) {
  [[unroll]] for (uint j = 0u; j < kQuads; ++j) {
    const uvec4 quad = quad_of(chunk, j);
    [[unroll]] for (uint m = 0u; m < ROWS; ++m) {
      const uint a = values[places[m] + at + j];
      sums[m] += dot_columns(quad, a);
      if (BITS != 8u) activations[m] += dot4(kOnes, a);
    }
  }
}

// The same where only `left` codes are there, in little code.
void multiply_some(uvec4 chunk, uint at, int left) {
  [[dont_unroll]] for (uint j = 0u; j < kQuads && left > int(4u * j); ++j) {
    const uvec4 quad = quad_of(chunk, j);
    [[unroll]] for (uint m = 0u; m < ROWS; ++m) {
      const uint a = load_quad(places[m] + at + j, left - int(4u * j));
      sums[m] += dot_columns(quad, a);
      if (BITS != 8u) activations[m] += dot4(kOnes, a);
    }
  }
}

// Adds up the lanes' sums and stores them.
void end_sums(Tile tile) {
  const uint c = gl_LocalInvocationIndex % kRowChunks, lane = gl_LocalInvocationIndex / kRowChunks;
  [[unroll]] for (uint m = 0u; m < ROWS; ++m) {
    const ivec4 corrected = signed_sum(sums[m], activations[m]);
    const uint first = (lane * ROWS + m) * kPanelColumns + 4u * c;
    lane_sums[first] = corrected.x;
    lane_sums[first + 1u] = corrected.y;
    lane_sums[first + 2u] = corrected.z;
    lane_sums[first + 3u] = corrected.w;
  }
  barrier();
  for (uint i = gl_LocalInvocationIndex; i < ROWS * kPanelColumns; i += gl_WorkGroupSize.x) {
    int sum = 0;
    for (uint l = 0u; l < kLanes; ++l) sum += lane_sums[l * ROWS * kPanelColumns + i];
    store_sum(tile.m + i / kPanelColumns, tile.z, tile.panel * kPanelColumns + i % kPanelColumns, tile.slice, uint(sum),
              f32_from_int(sum));
  }
}

#endif
