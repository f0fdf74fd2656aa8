// quantize_pack for callers inside the library: the projections quantise float activations through it.
#pragma once

#include "call.h"
#include "kernel_table.h"

namespace lowbit::core {

// The groups of a tensor with `rows` rows; all_heads wants rank 4.
RowGroups row_groups(const Tensor& tensor, lowbit_group group);

// Chooses the kernel and runs it.
Status quantize_pack(Stream& stream, const QuantizePack& op);

}  // namespace lowbit::core
