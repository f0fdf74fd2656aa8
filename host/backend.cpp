#include "backend.h"

#include <fmt/format.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "call.h"
#include "guard.h"
#include "host_device.h"
#include "invalid_argument.h"
#include "text.h"
#if LOWBIT_HAVE_CUDA
#include "../cuda/open_device.h"
#endif
#if LOWBIT_HAVE_VULKAN
#include "../vulkan/open_device.h"
#endif

namespace lowbit::core {
namespace {

using Open = Status (*)(const lowbit_device_options&, std::span<const KernelRow>, std::shared_ptr<Device>*);

Status open_cpu(const lowbit_device_options& options, std::span<const KernelRow> kernels,
                std::shared_ptr<Device>* device) {
  return open_host_device(Backend::cpu, options, kernels, device);
}

Status open_reference(const lowbit_device_options& options, std::span<const KernelRow> kernels,
                      std::shared_ptr<Device>* device) {
  return open_host_device(Backend::reference, options, kernels, device);
}

#if LOWBIT_HAVE_CUDA
constexpr Open open_cuda = &cuda::open_device;
#else
constexpr Open open_cuda = nullptr;
#endif
#if LOWBIT_HAVE_VULKAN
constexpr Open open_vulkan = &vulkan::open_device;
#else
constexpr Open open_vulkan = nullptr;
#endif

struct BackendRow {
  const char* name;
  Open open;  // null: not built in
};
constexpr BackendRow kBackends[] = {
    {"cuda", open_cuda}, {"vulkan", open_vulkan}, {"cpu", &open_cpu}, {"reference", &open_reference}};

Status open(const BackendRow& backend, const lowbit_device_options& options, std::span<const KernelRow> kernels,
            std::shared_ptr<Device>* device) {
  if (backend.open == nullptr) return unavailable(LOWBIT_FALLBACK_NOT_BUILT, "this build of lowbit leaves it out");
  return backend.open(options, kernels, device);
}

// "cpu, reference": those that open right now.
std::string available_backends() {
  std::string names;
  for (const BackendRow& backend : kBackends) {
    std::shared_ptr<Device> device;
    lowbit_device_options options{};
    if (open(backend, options, kernel_table(), &device).ok())
      names += fmt::format("{}{}", names.empty() ? "" : ", ", backend.name);
  }
  return names;
}

// For a device whose memory the host does not share: the cpu, which may fall back itself.
Status open_fallback(const lowbit_device_options& options, std::span<const KernelRow> kernels, Device* device) {
  if (!device->allow_fallback() || device->info().host_memory != 0) return {};
  std::shared_ptr<Device> fallback;
  LOWBIT_TRY(open_cpu({.allow_fallback = 1, .guard = options.guard}, kernels, &fallback));
  recall_verdicts(*fallback);
  device->set_fallback(std::move(fallback));
  return {};
}

}  // namespace

Status open_device(const lowbit_device_options& options, std::span<const KernelRow> kernels,
                   std::shared_ptr<Device>* device) {
  std::string_view wanted = options.backend == nullptr ? "auto" : options.backend;
  const char* argument = "backend";
  if (wanted == "auto") {
    const char* filled_in = std::getenv("LOWBIT_BACKEND");
    if (filled_in != nullptr && *filled_in != '\0') wanted = filled_in, argument = "LOWBIT_BACKEND";
  }
  Fallback passed_over;
  for (const BackendRow& backend : kBackends) {
    if (wanted != "auto" && wanted != backend.name) continue;
    const Status status = open(backend, options, kernels, device);
    if (status.ok()) {
      recall_verdicts(**device);
      (*device)->set_passed_over(std::move(passed_over));
      return open_fallback(options, kernels, device->get());
    }
    if (status.code() == LOWBIT_INVALID_ARGUMENT) return status;
    if (wanted != "auto") {
      return {status.code(),
              fmt::format("{} '{}' cannot be opened ({}); there is {}", argument, wanted, status.sentence(),
                          available_backends()),
              status.native_code()};
    }
    if (passed_over.reason == LOWBIT_FALLBACK_NONE || passed_over.reason == LOWBIT_FALLBACK_NOT_BUILT) {
      const lowbit_fallback_reason reason = status.fallback_reason();  // a driver that fails has no device that serves
      passed_over.reason = reason != LOWBIT_FALLBACK_NONE ? reason : LOWBIT_FALLBACK_NO_DEVICE;
    }
    passed_over.detail +=
        fmt::format("{}{}: {}", passed_over.detail.empty() ? "" : "; ", backend.name, status.sentence());
  }
  if (wanted == "auto") return {LOWBIT_UNAVAILABLE, "no backend can be opened: " + passed_over.detail};
  return invalid_argument("{} is '{}', it may be auto, cuda, vulkan, cpu or reference; there is {}", argument, wanted,
                          available_backends());
}

}  // namespace lowbit::core

using namespace lowbit::core;

namespace {

// Copies what options->vulkan points to, and asks for its backend.
Status read_vulkan_handles(const Validator& check, lowbit_device_options* options, lowbit_vulkan_handles* handles) {
  LOWBIT_TRY(read_struct(check, "options.vulkan", options->vulkan, handles));
  const std::string_view backend = options->backend == nullptr ? "auto" : options->backend;
  if (backend != "auto" && backend != "vulkan") {
    return check.fail("options.vulkan is given, but options.backend is '{}', it may be NULL, auto or vulkan", backend);
  }
  if (options->device != nullptr) return check.fail("options.vulkan is given, options.device must then be NULL");
  const std::pair<const char*, void*> needed[] = {{"instance", handles->instance},
                                                  {"physical_device", handles->physical_device},
                                                  {"device", handles->device},
                                                  {"queue", handles->queue}};
  for (const auto& [name, handle] : needed) {
    if (handle == nullptr) return check.fail("options.vulkan.{} is NULL", name);
  }
  if ((handles->lock_queue == nullptr) != (handles->unlock_queue == nullptr)) {
    return check.fail("options.vulkan has one of lock_queue and unlock_queue, it must have both or none");
  }
  options->backend = "vulkan";
  options->vulkan = handles;
  return {};
}

// LOWBIT_PROFILE: the first device's trace is written to the file it names, the second's to that with ".2", ...
Status profile_by_environment(Device& device) {
  static std::atomic<int> opened = 0;
  const char* name = std::getenv("LOWBIT_PROFILE");
  if (name == nullptr || *name == '\0') return {};
  const int number = ++opened;
  return device.start_profiling(number == 1 ? name : fmt::format("{}.{}", name, number));
}

}  // namespace

lowbit_status lowbit_device_open(const lowbit_device_options* options, lowbit_device** device) {
  return boundary([&]() -> Status {
    const Validator check("device_open");
    if (device == nullptr) return check.fail("device is NULL");
    lowbit_device_options copy{};
    if (options != nullptr) LOWBIT_TRY(read_struct(check, "options", options, &copy));
    LOWBIT_TRY(
        check.member("options.guard", copy.guard, {LOWBIT_GUARD_FIRST_USE, LOWBIT_GUARD_OFF, LOWBIT_GUARD_SAMPLE}));
    lowbit_vulkan_handles handles{};
    if (copy.vulkan != nullptr) LOWBIT_TRY(read_vulkan_handles(check, &copy, &handles));
    auto handle = std::make_unique<lowbit_device>();
    LOWBIT_TRY(open_device(copy, kernel_table(), &handle->device));
    LOWBIT_TRY(profile_by_environment(*handle->device));
    *device = handle.release();
    return {};
  });
}

void lowbit_device_close(lowbit_device* device) { delete device; }

lowbit_status lowbit_device_get_info(const lowbit_device* device, lowbit_device_info* info) {
  return boundary([&]() -> Status {
    const Validator check("device_get_info");
    if (device == nullptr) return check.fail("device is NULL");
    LOWBIT_TRY(check_struct(check, "info", info));
    write_struct(device->device->info(), info);
    return {};
  });
}

lowbit_status lowbit_device_get_fallback(const lowbit_device* device, lowbit_fallback* fallback) {
  return boundary([&]() -> Status {
    const Validator check("device_get_fallback");
    if (device == nullptr) return check.fail("device is NULL");
    LOWBIT_TRY(check_struct(check, "fallback", fallback));
    write_fallback(device->device->passed_over(), fallback);
    return {};
  });
}

lowbit_status lowbit_device_get_memory(const lowbit_device* device, lowbit_memory_info* info) {
  return boundary([&]() -> Status {
    const Validator check("device_get_memory");
    if (device == nullptr) return check.fail("device is NULL");
    LOWBIT_TRY(check_struct(check, "info", info));
    const Device& of = *device->device;
    write_struct({.in_use = of.memory_in_use(), .peak = of.memory_peak(), .reserved = of.memory_reserved()}, info);
    return {};
  });
}

lowbit_status lowbit_device_warm_up(lowbit_device* device, uint32_t operations) {
  return boundary([&]() -> Status {
    const Validator check("device_warm_up");
    if (device == nullptr) return check.fail("device is NULL");
    if (operations >> kOperationCount != 0)
      return check.fail("operations is 0x{:x}, it may have the bits 0 to {}", operations, kOperationCount - 1);
    for (int operation = 0; operation < kOperationCount; ++operation) {
      if (operations != 0 && (operations >> operation & 1) == 0) continue;
      LOWBIT_TRY(guard(device->device, {static_cast<lowbit_operation>(operation), {}, {}, {}}));
    }
    return {};
  });
}

lowbit_status lowbit_backend_get_info(uint32_t index, lowbit_backend_info* info) {
  return boundary([&]() -> Status {
    const Validator check("backend_get_info");
    LOWBIT_TRY(check_struct(check, "info", info));
    if (index >= std::size(kBackends))
      return check.fail("index is {}, it may be 0 to {}", index, std::size(kBackends) - 1);
    std::shared_ptr<Device> device;
    const Status status = open(kBackends[index], lowbit_device_options{}, kernel_table(), &device);
    lowbit_backend_info found{.available = status.ok()};
    copy_text(found.name, kBackends[index].name);
    copy_text(found.reason, status.sentence());
    write_struct(found, info);
    return {};
  });
}

namespace {

// What is asked for, as choose() has it, but for the size: those that it rules out are listed too.
Status read_query(const Validator& check, const lowbit_query* from, Request* request, ProjectionSize* size) {
  lowbit_query q{};
  LOWBIT_TRY(read_struct(check, "query", from, &q));
  if (static_cast<uint32_t>(q.operation) >= kOperationCount)
    return check.fail("query.operation is {}, it may be 0 to {}", static_cast<int32_t>(q.operation),
                      kOperationCount - 1);
  *request = {q.operation, {}, {}, {}};
  const bool is_projection = q.operation == LOWBIT_LOWRANK_PROJECTION || q.operation == LOWBIT_DECODER_TAIL;
  if (is_projection || q.operation == LOWBIT_QUANTIZE_PACK) {
    LOWBIT_TRY(check.member("query.activations", q.activations, {LOWBIT_INT8, LOWBIT_INT4, LOWBIT_UINT8, LOWBIT_F32}));
    request->activations = q.activations;
  }
  if (q.operation != LOWBIT_QUANTIZE_PACK) {
    LOWBIT_TRY(check.member("query.weights", q.weights, {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY}));
    request->weights = q.weights;
  }
  if (!is_projection) return {};
  const std::pair<const char*, int64_t> sizes[] = {{"rows", q.rows}, {"depth", q.depth}, {"outputs", q.outputs}};
  for (const auto& [name, value] : sizes) {
    if (value < 0) return check.fail("query.{} is {}, it must be at least 0", name, value);
  }
  // As box_rows() finds it of what lowbit.h takes the activations to be.
  const bool is_even = q.operation == LOWBIT_DECODER_TAIL || ceil_div(q.depth, LOWBIT_CODES_PER_WORD) % 4 == 0;
  *size = {q.rows, q.depth, q.outputs, is_even ? q.rows : 0};
  return {};
}

}  // namespace

lowbit_status lowbit_explain(const lowbit_device* device, const lowbit_query* query, lowbit_candidate* candidates,
                             size_t* count) {
  return boundary([&]() -> Status {
    const Validator check("explain");
    if (device == nullptr) return check.fail("device is NULL");
    if (count == nullptr) return check.fail("count is NULL");
    if (candidates == nullptr && *count != 0) return check.fail("candidates is NULL, but count is {}", *count);
    const Device& on = *device->device;
    Request request{};
    ProjectionSize size{};
    LOWBIT_TRY(read_query(check, query, &request, &size));
    size_t found = 0;
    bool served = false;
    for (const KernelRow& kernel : on.kernels()) {
      if (!is_candidate(on, kernel, request)) continue;
      if (found < *count) {
        lowbit_candidate& entry = candidates[found] = {};
        entry.kernel = kernel.name;
        if (!served) {
          copy_text(entry.reason, is_usable(on, kernel) ? size_limit(on, kernel, size) : why_not(on, kernel));
          served = entry.reason[0] == '\0';
          entry.selected = served;
        }
      }
      ++found;
    }
    *count = found;
    return {};
  });
}
