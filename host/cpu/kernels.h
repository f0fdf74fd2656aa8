// The cpu backend's kernels. Each instruction set compiles the files of this folder that it has use for with its own
// flags, in a namespace of its own and over its own `isa.h`; the kernel table names the results. A set defines those of the functions below
// that cpu.cmake compiles for it; their scalar companions are the reference's.
#pragma once

#include "device.h"
#include "operations.h"

#define LOWBIT_DECLARE_KERNELS(isa)                                             \
  namespace lowbit::core::isa {                                                 \
  Status quantize_pack(Stream& stream, const QuantizePack& op);                 \
  Status lowrank_projection(Stream& stream, const LowrankProjection& op);       \
  Status lowrank_projection_tiles(Stream& stream, const LowrankProjection& op); \
  Status lowrank_projection_f32(Stream& stream, const LowrankProjection& op);   \
  Status decoder_tail_sparse(Stream& stream, const DecoderTail& op);            \
  Status decoder_tail_tiles(Stream& stream, const DecoderTail& op);             \
  Status decoder_tail_f32(Stream& stream, const DecoderTail& op);               \
  Status rho_compress(Stream& stream, const RhoCompress& op);                   \
  Status rho_expand(Stream& stream, const RhoExpand& op);                       \
  }  // namespace lowbit::core::isa

LOWBIT_DECLARE_KERNELS(avx2)
LOWBIT_DECLARE_KERNELS(avxvnni)
LOWBIT_DECLARE_KERNELS(avx512vnni)
LOWBIT_DECLARE_KERNELS(amx)
LOWBIT_DECLARE_KERNELS(dotprod)
LOWBIT_DECLARE_KERNELS(i8mm)
#undef LOWBIT_DECLARE_KERNELS
