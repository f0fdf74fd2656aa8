// The parity guard: a kernel computes a small built-in case and must give the reference's bits before it may serve.
#pragma once

#include <string>

#include "device.h"
#include "kernel_table.h"

namespace lowbit::core {

// Tests every kernel that may serve the request and was not tested yet; a kernel that differs is barred on this device
// for the life of the process. Does nothing when the device's guard is off. The reference itself is not tested.
Status guard(const std::shared_ptr<Device>& device, const Request& request);

// Takes over what the guard found earlier in this process about the same device; for a device just opened.
void recall_verdicts(Device& device);

// Bars a kernel for what a real call has shown.
void bar(Device& device, const KernelRow& kernel, const std::string& reason);

// What the guard found wrong with a barred kernel: mismatch_text(), or how it failed.
std::string guard_report(const Device& device, const KernelRow& kernel);

// "parity_mismatch: ..." with kernel, device, index, got and expected. Words are counted through the outputs, one behind
// the other. lowbit_candidate::reason holds all of it, whatever the device is called.
std::string mismatch_text(const Device& device, const KernelRow& kernel, int64_t word, uint32_t got, uint32_t expected);

}  // namespace lowbit::core
