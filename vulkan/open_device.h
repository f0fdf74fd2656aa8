// Opening a Vulkan device: the first that is hardware, or by index, UUID or name.
#pragma once

#include <memory>
#include <span>

#include "kernel_table.h"
#include "vulkan_device.h"

namespace lowbit::core::vulkan {

// LOWBIT_VULKAN_DEVICE fills in options.device where it is NULL. LOWBIT_UNAVAILABLE with no_driver, driver_too_old,
// no_device or feature_missing in front of the sentence.
Status open_device(const lowbit_device_options& options, std::span<const KernelRow> kernels,
                   std::shared_ptr<Device>* device);

// The same, with the pretence of a test.
Status open_device(const lowbit_device_options& options, std::span<const KernelRow> kernels, const Pretence& pretence,
                   std::shared_ptr<Device>* device);

}  // namespace lowbit::core::vulkan
