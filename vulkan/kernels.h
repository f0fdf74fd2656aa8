// The Vulkan backend's kernels, one file an operation; the kernel table names them.
#pragma once

#include "operations.h"
#include "shader.h"
#include "status.h"

namespace lowbit::core {
class Stream;
}

namespace lowbit::core::vulkan {

template <Arithmetic>
Status quantize_pack(Stream& stream, const QuantizePack& op);
template <Arithmetic>
Status pack_weight(Stream& stream, const PackWeight& op);
template <Arithmetic>
Status rho_compress(Stream& stream, const RhoCompress& op);
template <Arithmetic>
Status rho_expand(Stream& stream, const RhoExpand& op);

// Either projection, by one way of computing it.
template <typename Operation, Products, Arithmetic>
Status project_rows(Stream& stream, const Operation& op);
template <typename Operation, Arithmetic>
Status project_coopmat(Stream& stream, const Operation& op);
template <typename Operation, Products, Arithmetic>
Status project_tiles(Stream& stream, const Operation& op);
template <typename Operation, Products, Arithmetic>
Status project_sparse(Stream& stream, const Operation& op);
template <typename Operation, Arithmetic>
Status project_f32(Stream& stream, const Operation& op);

}  // namespace lowbit::core::vulkan
