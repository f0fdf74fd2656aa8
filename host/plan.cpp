#include "plan.h"

#include <algorithm>
#include <iterator>

#include "call.h"
#include "kernel_table.h"

namespace lowbit::core {
namespace {

constexpr uint32_t kModules = LOWBIT_MODULE_X | LOWBIT_MODULE_Y | LOWBIT_MODULE_RESIDUAL;
constexpr std::initializer_list<lowbit_format> kWeights = {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY, LOWBIT_F32};

constexpr const char* kRuntimes[] = {"fake_quant_reference", "packed_reference", "packed_native_inference",
                                     "packed_native_training_forward"};

bool has_native(const Device& device, const Request& request) {
  const auto rows = device.kernels();
  return device.backend() != Backend::reference && std::any_of(rows.begin(), rows.end(), [&](const KernelRow& row) {
           // Of the device's own backend: a fallback is a candidate too.
           return row.backend == device.backend() && is_candidate(device, row, request) && is_usable(device, row);
         });
}

struct Choice {
  lowbit_runtime runtime;
  lowbit_fallback_reason reason;
};

Choice choose_plan(const lowbit_plan_config& config, const lowbit_capabilities& capabilities) {
  if (config.enabled == 0) return {LOWBIT_FAKE_QUANT_REFERENCE, LOWBIT_FALLBACK_QUANT_DISABLED};
  // y and residual may have any format.
  if (config.training_kernels != 0 && capabilities.training_kernels != 0 && config.x != LOWBIT_TERNARY) {
    return {LOWBIT_PACKED_NATIVE_TRAINING_FORWARD, LOWBIT_FALLBACK_NONE};
  }
  const auto all = modules(config);
  if (std::none_of(all.begin(), all.end(), [](const Module& m) { return m.is_packed; })) {
    return {LOWBIT_FAKE_QUANT_REFERENCE, LOWBIT_FALLBACK_MISSING_PACKED_ARTIFACTS};
  }
  if (capabilities.native_projections != 0) return {LOWBIT_PACKED_NATIVE_INFERENCE, LOWBIT_FALLBACK_NONE};
  return {LOWBIT_PACKED_REFERENCE, LOWBIT_FALLBACK_NATIVE_LOW_BIT_UNAVAILABLE};
}

}  // namespace

std::array<Module, 3> modules(const lowbit_plan_config& config) {
  const auto module = [&](lowbit_module bit, lowbit_operation operation, lowbit_format format) -> Module {
    const bool is_target = config.enabled != 0 && format != LOWBIT_F32;
    return {bit, operation, format, is_target, is_target && (config.packed & static_cast<uint32_t>(bit)) != 0};
  };
  return {module(LOWBIT_MODULE_X, LOWBIT_LOWRANK_PROJECTION, config.x),
          module(LOWBIT_MODULE_Y, LOWBIT_LOWRANK_PROJECTION, config.y),
          module(LOWBIT_MODULE_RESIDUAL, LOWBIT_DECODER_TAIL, config.residual)};
}

Status read_config(const Validator& check, const lowbit_plan_config* from, lowbit_plan_config* to) {
  LOWBIT_TRY(read_struct(check, "config", from, to));
  LOWBIT_TRY(check.member("config.x", to->x, kWeights));
  LOWBIT_TRY(check.member("config.y", to->y, kWeights));
  LOWBIT_TRY(check.member("config.residual", to->residual, kWeights));
  LOWBIT_TRY(check.member("config.activations", to->activations, {LOWBIT_INT8, LOWBIT_INT4, LOWBIT_UINT8, LOWBIT_F32}));
  if ((to->packed & ~kModules) != 0)
    return check.fail("config.packed is 0x{:x}, it may have the bits 0 to 2", to->packed);
  const auto all = modules(*to);
  if (to->enabled != 0 && std::none_of(all.begin(), all.end(), [](const Module& m) { return m.is_target; })) {
    return check.fail(
        "config.enabled is {}, but config.x, .y and .residual are all f32, one must be int8, ternary or binary",
        to->enabled);
  }
  return {};
}

}  // namespace lowbit::core

using namespace lowbit::core;

const char* lowbit_runtime_name(lowbit_runtime runtime) {
  const auto index = static_cast<size_t>(runtime);
  return index < std::size(kRuntimes) ? kRuntimes[index] : nullptr;
}

lowbit_status lowbit_device_get_capabilities(const lowbit_device* device, const lowbit_plan_config* config,
                                             lowbit_capabilities* capabilities) {
  return boundary([&]() -> Status {
    const Validator check("device_get_capabilities");
    if (device == nullptr) return check.fail("device is NULL");
    lowbit_plan_config c{};
    LOWBIT_TRY(read_config(check, config, &c));
    LOWBIT_TRY(check_struct(check, "capabilities", capabilities));
    lowbit_capabilities found{.native_projections = c.enabled != 0};
    for (const Module& module : modules(c)) {
      if (!module.is_target) continue;
      found.native_projections &= has_native(*device->device, {module.operation, c.activations, module.format, {}});
    }
    write_struct(found, capabilities);
    return {};
  });
}

lowbit_status lowbit_plan_choose(const lowbit_plan_config* config, const lowbit_capabilities* capabilities,
                                 lowbit_plan* plan) {
  return boundary([&]() -> Status {
    const Validator check("plan_choose");
    lowbit_plan_config c{};
    LOWBIT_TRY(read_config(check, config, &c));
    lowbit_capabilities has{};
    LOWBIT_TRY(read_struct(check, "capabilities", capabilities, &has));
    LOWBIT_TRY(check_struct(check, "plan", plan));
    const Choice choice = choose_plan(c, has);
    write_struct({.runtime = choice.runtime, .fallback_reason = choice.reason}, plan);
    return {};
  });
}
