// The definition of every operation: scalar, one value after the other, nothing clever. docs/numerics.md in code.
#pragma once

#include "device.h"
#include "operations.h"

namespace lowbit::core::reference {

Status quantize_pack(Stream& stream, const QuantizePack& op);
Status pack_weight(Stream& stream, const PackWeight& op);
Status lowrank_projection(Stream& stream, const LowrankProjection& op);
Status decoder_tail(Stream& stream, const DecoderTail& op);
Status rho_compress(Stream& stream, const RhoCompress& op);
Status rho_expand(Stream& stream, const RhoExpand& op);

}  // namespace lowbit::core::reference
