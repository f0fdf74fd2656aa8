// The device behind the backends `cpu` and `reference`: host memory, and streams whose calls run at once.
#pragma once

#include "device.h"
#include "kernel_table.h"

namespace lowbit::core {

// The processor's features, lowbit_feature bits: what CPUID and XGETBV report.
uint64_t detect_cpu_features();

// `backend` is cpu or reference. LOWBIT_CPU_ISA, where set, forces the cpu's instruction set; a set that is unknown or
// that the machine lacks is an error.
Status open_host_device(Backend backend, const lowbit_device_options& options, std::span<const KernelRow> kernels,
                        std::shared_ptr<Device>* device);

}  // namespace lowbit::core
