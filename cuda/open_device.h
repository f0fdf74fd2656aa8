// What the list of backends needs of CUDA.
#pragma once

#include <memory>
#include <span>

#include "kernel_table.h"

namespace lowbit::core::cuda {

// By index, UUID ("GPU-..." as nvidia-smi prints it) or PCI bus id; NULL is the first.
Status open_device(const lowbit_device_options& options, std::span<const KernelRow> kernels,
                   std::shared_ptr<core::Device>* device);

}  // namespace lowbit::core::cuda
