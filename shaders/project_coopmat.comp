// Projections of many rows of activations, by int8 cooperative matrices (VK_NV_cooperative_matrix).
//
// No device has run this yet. 2048 x 8192 x 8192 are 275 G operations: 1.6 ms at the 167 TOPS that an RTX 5060 reaches
// with such matrices, 8 ms at its 33 by dot products. A workgroup makes 64 rows by 128 columns, a subgroup 32 by 32 of
// them. 64 steps of K are staged in 15 KiB of shared memory, weights of any format as int8, while the next 64 are on
// their way in registers. uint8 codes a become int8 too: sum a w = sum (a - 128) w + 128 sum w, where sum w is made by
// a matrix of ones.
#version 460
#pragma use_vulkan_memory_model
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_int8 : require
#extension GL_NV_cooperative_matrix : require
#extension GL_NV_integer_cooperative_matrix : require
#define BINDINGS 5
#include "projection.glsl"
#include "products.glsl"
#include "store.glsl"
#include "values.glsl"

// Of a product of matrices: as the device lists it, and as vulkan/cooperative_matrix.cpp lets through.
layout(constant_id = 3) const uint MATRIX_M = 16;  // 8 or 16
layout(constant_id = 4) const uint MATRIX_N = 16;  // 8, 16 or 32
layout(constant_id = 5) const uint MATRIX_K = 32;  // 16, 32 or 64
#define SUMS icoopmatNV<32, gl_ScopeSubgroup, MATRIX_M, MATRIX_N>
#define LEFT icoopmatNV<8, gl_ScopeSubgroup, MATRIX_M, MATRIX_K>
#define RIGHT icoopmatNV<8, gl_ScopeSubgroup, MATRIX_K, MATRIX_N>

layout(binding = 1, std430) readonly restrict buffer Weights { uvec4 weights[]; };

// A tile has eight parts, a subgroup each: the workgroup has eight, all full.
const uint kRows = 64u, kPanels = 4u, kPartRows = 32u, kParts = kRows / kPartRows * kPanels;
const uint kStep = 64u, kStepRows = kStep / kDepth;
// Staged are lines: 64 rows of activations, then 128 columns of weights. A line has four runs, each a uvec4 of 16 steps
// of K, and one uvec4 to spare, so that eight lines lie in other banks. In the end 16 KiB of sums take their place.
const uint kRuns = kStep / 16u, kLine = kRuns + 1u;
shared uvec4 staged[1024];

// An invocation loads runs of activations, and blocks of weights: 16 steps of K by the four columns of a chunk. For
// those it reads one chunk, or four of int8.
const uint kValueRuns = kRows * kRuns, kBlocks = kPanels * kRowChunks * kRuns;
const uint kValueLoads = (kValueRuns + gl_WorkGroupSize.x - 1u) / gl_WorkGroupSize.x;
const uint kBlockLoads = (kBlocks + gl_WorkGroupSize.x - 1u) / gl_WorkGroupSize.x;
const uint kBlockRows = BITS == 8u ? 4u : 1u;

// Of this invocation: where what it loads begins in the slice's first step, and the step on its way.
uint weight_places[kBlockLoads], value_places[kValueLoads];
uvec4 next_weights[kBlockLoads * kBlockRows], next_values[kValueLoads];

// The run of activations, and the block, that it loads i-th.
uint value_load(uint i) { return i * gl_WorkGroupSize.x + gl_LocalInvocationIndex; }
uint value_row_of(uint i) { return value_load(i) / kRuns; }
uint value_run(uint i) { return value_load(i) % kRuns; }
uint block_load(uint i) { return i * gl_WorkGroupSize.x + gl_LocalInvocationIndex; }
uint block_run(uint i) { return block_load(i) % kRuns; }
uint block_chunk(uint i) { return block_load(i) / kRuns % kRowChunks; }
uint block_panel(uint i) { return block_load(i) / (kRuns * kRowChunks); }

void begin_loads(Tile tile, Slice slice) {
  [[unroll]] for (uint i = 0u; i < kBlockLoads; ++i) {
    weight_places[i] = panel_place(tile.z, min(tile.panel + block_panel(i), panel_end() - 1u), slice);
    [[unroll]] for (uint r = 0u; r < kBlockRows; ++r) next_weights[i * kBlockRows + r] = uvec4(0u);
  }
  [[unroll]] for (uint i = 0u; i < kValueLoads; ++i) {
    const uint m = min(tile.m + value_row_of(i), m_end() - 1u);
    value_places[i] = value_place(m, tile.z, slice, kQuads) + 4u * value_run(i);
  }
}

// Step `at` of a segment of the slice. Past the last row of activations, or panel, is that one again. Past the end of K
// activations are 0, whatever weights they meet.
void load_step(Slice slice, uint segment, uint at) {
  [[unroll]] for (uint i = 0u; i < kBlockLoads; ++i) {
    [[unroll]] for (uint r = 0u; r < kBlockRows; ++r) {
      const uint row = at * kStepRows + 4u * block_run(i) / kQuads + r;
      if (block_load(i) < kBlocks && row < slice.rows) {
        next_weights[i * kBlockRows + r] = weights[weight_places[i] + segment * segment_chunks() +
                                                   chunk_place(slice.row + row, block_chunk(i))];
      }
    }
  }
  [[unroll]] for (uint i = 0u; i < kValueLoads; ++i) {
    const int left = int(push.K) - int(slice.row * kDepth + at * kStep + 16u * value_run(i));
    if (value_load(i) < kValueRuns) {
      next_values[i] = load_run(value_places[i] + segment * segment_values() + at * (kStep / 4u), left);
    }
  }
}

// The bytes w of a quad's bytes u, which are w + 1 of ternary and (w + 1) / 2 of binary codes: products.glsl.
uvec4 signed_bytes(uvec4 quad) {
  if (BITS == 8u) return quad;
  return (((BITS == 1u ? quad << 1u : quad) | 0x80808080u) - kOnes) ^ 0x80808080u;
}

void store_step() {
  [[unroll]] for (uint i = 0u; i < kBlockLoads; ++i) {
    if (block_load(i) >= kBlocks) break;
    uvec4 quads[4];
    [[unroll]] for (uint j = 0u; j < 4u; ++j) {
      quads[j] = signed_bytes(quad_of(next_weights[i * kBlockRows + j / kQuads], (4u * block_run(i) + j) % kQuads));
    }
    const uint first = (kRows + block_panel(i) * kPanelColumns + 4u * block_chunk(i)) * kLine + block_run(i);
    [[unroll]] for (uint x = 0u; x < 4u; ++x) {
      staged[first + x * kLine] = uvec4(quads[0][x], quads[1][x], quads[2][x], quads[3][x]);
    }
  }
  [[unroll]] for (uint i = 0u; i < kValueLoads; ++i) {
    if (value_load(i) >= kValueRuns) break;
    staged[value_row_of(i) * kLine + value_run(i)] = IS_SIGNED ? next_values[i] : next_values[i] ^ 0x80808080u;
  }
}

void main() {
  const Tile tile = tile_of_group(kRows, kPanels);
  if (!tile.is_there) return;
  const Slice slice = slice_at(tile.slice);
  const uint part = gl_SubgroupID;
  const uint first_row = part / kPanels * kPartRows * kLine;
  const uint first_column = (kRows + part % kPanels * kPanelColumns) * kLine;

  SUMS sums[kPartRows / MATRIX_M][kPanelColumns / MATRIX_N], column_sums[kPanelColumns / MATRIX_N];
  [[unroll]] for (uint j = 0u; j < kPanelColumns / MATRIX_N; ++j) {
    column_sums[j] = SUMS(0);
    [[unroll]] for (uint i = 0u; i < kPartRows / MATRIX_M; ++i) sums[i][j] = SUMS(0);
  }
  const uint segment_steps = (slice.rows + kStepRows - 1u) / kStepRows, steps = slice.segments * segment_steps;
  begin_loads(tile, slice);
  load_step(slice, 0u, 0u);
  for (uint step = 0u; step < steps; ++step) {
    barrier();
    store_step();
    barrier();
    if (step + 1u < steps) load_step(slice, (step + 1u) / segment_steps, (step + 1u) % segment_steps);
    [[unroll]] for (uint run = 0u; run < kRuns; run += MATRIX_K / 16u) {
      LEFT a[kPartRows / MATRIX_M];
      [[unroll]] for (uint i = 0u; i < kPartRows / MATRIX_M; ++i) {
        coopMatLoadNV(a[i], staged, first_row + i * MATRIX_M * kLine + run, kLine, false);
      }
      [[unroll]] for (uint j = 0u; j < kPanelColumns / MATRIX_N; ++j) {
        RIGHT w;
        coopMatLoadNV(w, staged, first_column + j * MATRIX_N * kLine + run, kLine, true);
        [[unroll]] for (uint i = 0u; i < kPartRows / MATRIX_M; ++i) sums[i][j] = coopMatMulAddNV(a[i], w, sums[i][j]);
        if (!IS_SIGNED) column_sums[j] = coopMatMulAddNV(LEFT(int8_t(1)), w, column_sums[j]);
      }
    }
  }
  // A row of matrices of each part at a time, through shared memory: [part][row][column].
  [[unroll]] for (uint i = 0u; i < kPartRows / MATRIX_M; ++i) {
    barrier();
    [[unroll]] for (uint j = 0u; j < kPanelColumns / MATRIX_N; ++j) {
      SUMS sum = sums[i][j];
      if (!IS_SIGNED) sum = sum + 128 * column_sums[j];
      coopMatStoreNV(sum, staged, part * MATRIX_M * kRowChunks + j * (MATRIX_N / 4u), kRowChunks, false);
    }
    barrier();
    [[dont_unroll]] for (uint at = gl_LocalInvocationIndex; at < kParts * MATRIX_M * kPanelColumns;
                         at += gl_WorkGroupSize.x) {
      const uint sum = staged[at / 4u][at % 4u], row = at / kPanelColumns, of_part = row / MATRIX_M;
      store_sum(tile.m + of_part / kPanels * kPartRows + i * MATRIX_M + row % MATRIX_M, tile.z,
                (tile.panel + of_part % kPanels) * kPanelColumns + at % kPanelColumns, tile.slice, sum,
                f32_from_int(int(sum)));
    }
  }
}
