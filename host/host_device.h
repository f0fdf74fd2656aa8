// The device behind the backends `cpu` and `reference`: host memory, and streams whose calls run at once.
#pragma once

#include "device.h"
#include "kernel_table.h"

namespace lowbit::core {

// `backend` is cpu or reference. LOWBIT_CPU_ISA, where set, forces the cpu's instruction set; one that is unknown or
// that the machine lacks is an error. So is a LOWBIT_THREADS that is no number of threads.
Status open_host_device(Backend backend, const lowbit_device_options& options, std::span<const KernelRow> kernels,
                        std::shared_ptr<Device>* device);

}  // namespace lowbit::core
