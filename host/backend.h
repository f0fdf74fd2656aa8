// The backends this library knows, in the order of `auto`, and how a device of each is opened.
#pragma once

#include <memory>
#include <string>

#include "device.h"
#include "kernel_table.h"

namespace lowbit::core {

// Opens by options.backend ("auto" or NULL: LOWBIT_BACKEND, else the first that works).
Status open_device(const lowbit_device_options& options, std::span<const KernelRow> kernels,
                   std::shared_ptr<Device>* device);

}  // namespace lowbit::core
