// Projections of many rows of activations, through tiles in shared memory.
//
// Bound by arithmetic: 2 M K N operations, eight an instruction of four products; 2048 x 8192 x 8192 are 275 G, 8 ms at
// the 33 TOPS of an RTX 5060. A workgroup makes 64 rows by 64 columns, a step of 64 (binary: 128) steps of K at a time,
// while the next step's operands are on their way in registers. An invocation makes 8 rows, 8 apart, by the 4 columns
// of a chunk: 8 + 1 loads of 16 bytes from shared memory make 128 products of four. Weights stay packed there.
#version 460
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 5
#include "projection.glsl"
#include "products.glsl"
#include "store.glsl"
#include "values.glsl"

layout(binding = 1, std430) readonly restrict buffer Weights { uvec4 weights[]; };

// A tile; runs are 16 steps of K of a row of activations, a uvec4.
const uint kRows = 64u, kPanels = 2u;
const uint kStep = BITS == 1u ? 128u : 64u, kStepRows = kStep / kDepth, kRuns = kStep / 16u;
const uint kWeightChunks = kPanels * kStepRows * kRowChunks, kValueRuns = kRows * kRuns;
const uint kWeightLoads = (kWeightChunks + gl_WorkGroupSize.x - 1u) / gl_WorkGroupSize.x;
const uint kValueLoads = kValueRuns / gl_WorkGroupSize.x;
// Of an invocation: rows of activations, this far apart.
const uint kOwnRows = 8u, kRowGroups = kRows / kOwnRows;
const uint kTileChunks = kPanels * kRowChunks;  // of four columns

shared uvec4 weight_tile[kWeightChunks];  // [panel][row][chunk], the chunks in their order
shared uvec4 value_tile[kValueRuns];      // [run][row]
shared int half_sums[2u * kRows];         // of a row of activations, over each half of the runs

// Of this invocation: where what it loads begins in the slice's first step, and the step on its way.
uint weight_places[kWeightLoads], value_places[kValueLoads];
uvec4 next_weights[kWeightLoads], next_values[kValueLoads];

// The chunk of the weights' tile, and the run of the activations', that it loads i-th.
uint weight_chunk(uint i) { return i * gl_WorkGroupSize.x + gl_LocalInvocationIndex; }
uint value_row_of(uint i) { return (i * gl_WorkGroupSize.x + gl_LocalInvocationIndex) / kRuns; }
uint value_run(uint i) { return (i * gl_WorkGroupSize.x + gl_LocalInvocationIndex) % kRuns; }

void begin_loads(Tile tile, Slice slice) {
  [[unroll]] for (uint i = 0u; i < kWeightLoads; ++i) {
    const uint panel = min(tile.panel + weight_chunk(i) / (kStepRows * kRowChunks), panel_end() - 1u);
    weight_places[i] = panel_place(tile.z, panel, slice);
    next_weights[i] = uvec4(0u);
  }
  [[unroll]] for (uint i = 0u; i < kValueLoads; ++i) {
    const uint m = min(tile.m + value_row_of(i), m_end() - 1u);
    value_places[i] = value_place(m, tile.z, slice, kQuads) + 4u * value_run(i);
  }
}

// Step `at` of a segment of the slice. Past the last row of activations, or panel, is that one again. Past the end of K
// activations are 0, whatever weights they meet.
void load_step(Slice slice, uint segment, uint at) {
  [[unroll]] for (uint i = 0u; i < kWeightLoads; ++i) {
    const uint row = at * kStepRows + weight_chunk(i) / kRowChunks % kStepRows;
    if (weight_chunk(i) < kWeightChunks && row < slice.rows) {
      next_weights[i] = weights[weight_places[i] + segment * segment_chunks() +
                                chunk_place(slice.row + row, weight_chunk(i) % kRowChunks)];
    }
  }
  [[unroll]] for (uint i = 0u; i < kValueLoads; ++i) {
    const int left = int(push.K) - int(slice.row * kDepth + at * kStep + 16u * value_run(i));
    next_values[i] = load_run(value_places[i] + segment * segment_values() + at * (kStep / 4u), left);
  }
}

void store_step() {
  [[unroll]] for (uint i = 0u; i < kWeightLoads; ++i) {
    if (weight_chunk(i) < kWeightChunks) weight_tile[weight_chunk(i)] = next_weights[i];
  }
  [[unroll]] for (uint i = 0u; i < kValueLoads; ++i) {
    value_tile[value_run(i) * kRows + value_row_of(i)] = next_values[i];
  }
}

void main() {
  const Tile tile = tile_of_group(kRows, kPanels);
  if (!tile.is_there) return;
  const Slice slice = slice_at(tile.slice);
  const uint thread = gl_LocalInvocationIndex;
  const uint c = thread % kRowChunks, panel = thread / kRowChunks % kPanels, row = thread / (kRowChunks * kPanels);

  ivec4 sums[kOwnRows];
  [[unroll]] for (uint i = 0u; i < kOwnRows; ++i) sums[i] = ivec4(0);
  int half_sum = 0;
  const uint segment_steps = (slice.rows + kStepRows - 1u) / kStepRows, steps = slice.segments * segment_steps;
  begin_loads(tile, slice);
  load_step(slice, 0u, 0u);
  for (uint step = 0u; step < steps; ++step) {
    barrier();
    store_step();
    barrier();
    if (step + 1u < steps) load_step(slice, (step + 1u) / segment_steps, (step + 1u) % segment_steps);
    for (uint run = 0u; run < kRuns; ++run) {
      uvec4 codes[kOwnRows];
      [[unroll]] for (uint i = 0u; i < kOwnRows; ++i) codes[i] = value_tile[run * kRows + row + i * kRowGroups];
      [[unroll]] for (uint j = 0u; j < 4u; ++j) {
        const uint quad = 4u * run + j;  // of the step
        const uvec4 chunk = weight_tile[(panel * kStepRows + quad / kQuads) * kRowChunks + c];
        const uvec4 w = quad_of(chunk, quad % kQuads);
        [[unroll]] for (uint i = 0u; i < kOwnRows; ++i) sums[i] += dot_columns(w, codes[i][j]);
      }
    }
    if (BITS != 8u) {
      for (uint run = thread % 2u * (kRuns / 2u); run < (thread % 2u + 1u) * (kRuns / 2u); ++run) {
        const uvec4 codes = value_tile[run * kRows + thread / 2u];
        half_sum += dot4(kOnes, codes.x) + dot4(kOnes, codes.y) + dot4(kOnes, codes.z) + dot4(kOnes, codes.w);
      }
    }
  }
  half_sums[thread] = half_sum;
  barrier();
  // A quarter of the tile at a time, back through shared memory, so that neighbours store neighbours.
  [[unroll]] for (uint quarter = 0u; quarter < 4u; ++quarter) {
    [[unroll]] for (uint i = 0u; i < kOwnRows / 4u; ++i) {
      const uint own = quarter * (kOwnRows / 4u) + i, of_tile = row + own * kRowGroups;
      const ivec4 sum = signed_sum(sums[own], half_sums[2u * of_tile] + half_sums[2u * of_tile + 1u]);
      value_tile[(row + i * kRowGroups) * kTileChunks + panel * kRowChunks + c] = uvec4(sum);
    }
    barrier();
    [[dont_unroll]] for (uint i = thread; i < kRows / 4u * kTileChunks * 4u; i += gl_WorkGroupSize.x) {
      const uint sum = value_tile[i / 4u][i % 4u], of_tile = quarter * (kRows / 4u) + i / (4u * kTileChunks);
      store_sum(tile.m + of_tile, tile.z, tile.panel * kPanelColumns + i % (4u * kTileChunks), tile.slice, sum,
                f32_from_int(int(sum)));
    }
    barrier();
  }
}
