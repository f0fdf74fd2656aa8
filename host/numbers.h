// The numbers of docs/numerics.md, shared by C++, CUDA and GLSL: preprocessor only, so that all three can include it.
#ifndef LOWBIT_NUMBERS_H
#define LOWBIT_NUMBERS_H

#define LOWBIT_QMAX_INT8 127
#define LOWBIT_QMAX_INT4 7
#define LOWBIT_QMAX_UINT8 255

#define LOWBIT_EPS_BITS 0x322bcc77u       // 1e-8f, the smallest scale a group of finite values gets
#define LOWBIT_NAN_BITS 0x7fc00000u       // the scale of a group that is not finite
#define LOWBIT_INFINITY_BITS 0x7f800000u  // magnitudes from here on are not finite

#define LOWBIT_TREESUM_SEGMENT 4096  // values of a treesum segment
#define LOWBIT_TREESUM_LANES 256     // lanes that add up a segment before the tree
#define LOWBIT_RHO_BLOCK 32          // values that share a scale in a compressed tensor
#define LOWBIT_CODES_PER_WORD 4      // int8 codes in a packed word

#endif
