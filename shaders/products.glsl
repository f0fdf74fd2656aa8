// Products of codes: four steps of K, a word of activations and one of weights a column. Weights stay packed until
// here, and are multiplied as bytes u: int8 as it is, ternary w + 1, binary (w + 1) / 2; signed_sum() corrects.
#ifndef LOWBIT_PRODUCTS_GLSL
#define LOWBIT_PRODUCTS_GLSL

#extension GL_EXT_control_flow_attributes : require
#ifdef LOWBIT_DOT
#extension GL_EXT_spirv_intrinsics : require
#endif

layout(constant_id = 2) const bool IS_SIGNED = true;  // activations are

const uint kOnes = 0x01010101u;
const uint kShift = BITS % 8u, kMask = BITS == 8u ? 0xffffffffu : kOnes * ((1u << kShift) - 1u);

// Steps 4j..4j+3 of a row of a panel, four bytes a column.
uvec4 quad_of(uvec4 chunk, uint j) { return (chunk >> (kShift * j)) & kMask; }

#ifdef LOWBIT_DOT
// OpSDot and OpSUDot, whose first operand is the signed one, on four bytes in a word: format 0.
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018], id = 4450)
int dot_signed(int a, int b, spirv_literal int format);
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018], id = 4452)
int dot_mixed(int a, uint b, spirv_literal int format);

int dot4(uint w, uint a) { return IS_SIGNED ? dot_signed(int(w), int(a), 0) : dot_mixed(int(w), a, 0); }
#else
int product(uint w, uint a, int at) {
  const int code = IS_SIGNED ? bitfieldExtract(int(a), at, 8) : int(bitfieldExtract(a, at, 8));
  return bitfieldExtract(int(w), at, 8) * code;
}

int dot4(uint w, uint a) { return product(w, a, 0) + product(w, a, 8) + product(w, a, 16) + product(w, a, 24); }
#endif

ivec4 dot_columns(uvec4 w, uint a) { return ivec4(dot4(w.x, a), dot4(w.y, a), dot4(w.z, a), dot4(w.w, a)); }

// The sums over w from those over u and the activations' own sum.
ivec4 signed_sum(ivec4 sum, int activations) {
  if (BITS == 8u) return sum;
  return (BITS == 2u ? sum : 2 * sum) - activations;
}

// The first `count` codes of a word; the others, and all where count is not positive, become 0.
uint keep_codes(uint word, int count) {
  return count >= 4 ? word : count <= 0 ? 0u : bitfieldExtract(word, 0, 8 * count);
}

#endif
