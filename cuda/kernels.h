// The CUDA backend's kernels, one file an operation; the kernel table names them.
#pragma once

#include "operations.h"
#include "status.h"

namespace lowbit::core {
class Stream;
}

namespace lowbit::core::cuda {

Status quantize_pack(Stream& stream, const QuantizePack& op);
Status pack_weight(Stream& stream, const PackWeight& op);
Status rho_compress(Stream& stream, const RhoCompress& op);
Status rho_expand(Stream& stream, const RhoExpand& op);

// Either projection, by one way of computing it.
template <typename Operation>
Status project_scalar(Stream& stream, const Operation& op);
template <typename Operation>
Status project_dp4a(Stream& stream, const Operation& op);
template <typename Operation>
Status project_sparse(Stream& stream, const Operation& op);
template <typename Operation>
Status project_dp4a_tiles(Stream& stream, const Operation& op);
template <typename Operation>
Status project_mma(Stream& stream, const Operation& op);
template <typename Operation>
Status project_mma_tiles(Stream& stream, const Operation& op);
template <typename Operation>
Status project_wgmma(Stream& stream, const Operation& op);

}  // namespace lowbit::core::cuda
