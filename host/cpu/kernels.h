// The cpu backend's kernels, one folder an instruction set; the kernel table names them. Their scalar companions are
// the reference's functions.
#pragma once

#include "device.h"
#include "operations.h"

namespace lowbit::core::avx2 {

Status quantize_pack(Stream& stream, const QuantizePack& op);

Status lowrank_projection_w8(Stream& stream, const LowrankProjection& op);
Status lowrank_projection_w2(Stream& stream, const LowrankProjection& op);
Status lowrank_projection_w1(Stream& stream, const LowrankProjection& op);
Status lowrank_projection_f32(Stream& stream, const LowrankProjection& op);

Status decoder_tail_w8(Stream& stream, const DecoderTail& op);
Status decoder_tail_w2(Stream& stream, const DecoderTail& op);
Status decoder_tail_w1(Stream& stream, const DecoderTail& op);
Status decoder_tail_f32(Stream& stream, const DecoderTail& op);

}  // namespace lowbit::core::avx2
