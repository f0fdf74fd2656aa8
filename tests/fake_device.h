// Devices of the unit tests: with any features and any kernel table, whatever the machine has.
#pragma once

#include <cstdlib>
#include <memory>
#include <optional>
#include <string>

#include "device.h"
#include "host_device.h"
#include "kernel_table.h"
#include "text.h"

namespace lowbit::test {

// For choosing kernels only: it has no memory and no streams.
class FakeDevice final : public core::Device {
 public:
  FakeDevice(core::Backend backend, uint64_t features, std::span<const core::KernelRow> kernels = core::kernel_table(),
             bool allow_fallback = false, bool host_memory = true, const std::string& name = "fake device")
      : Device(backend, info_of(features, host_memory, name), kernels, {.allow_fallback = allow_fallback}) {}
  core::Status allocate(size_t, void**) override { return {LOWBIT_OUT_OF_MEMORY, "a fake device has no memory"}; }
  void release(void*) noexcept override {}
  core::Status create_stream(std::unique_ptr<core::Stream>*) override {
    return {LOWBIT_INTERNAL, "a fake device has no streams"};
  }

 private:
  static lowbit_device_info info_of(uint64_t features, bool host_memory, const std::string& name) {
    lowbit_device_info info{.struct_size = sizeof(info), .features = features, .host_memory = host_memory};
    core::copy_text(info.backend, "fake");
    core::copy_text(info.name, name);
    return info;
  }
};

// A cpu device that chooses from another table; it throws where it cannot be opened.
inline std::shared_ptr<core::Device> open_cpu(std::span<const core::KernelRow> kernels,
                                              const lowbit_device_options& options = {}) {
  std::shared_ptr<core::Device> device;
  const core::Status status = core::open_host_device(core::Backend::cpu, options, kernels, &device);
  if (!status.ok()) throw std::runtime_error(status.sentence());
  return device;
}

// Sets an environment variable, or unsets it where the value is NULL, for a scope.
class ScopedEnvironment {
 public:
  ScopedEnvironment(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    set(value);
  }
  ~ScopedEnvironment() { set(before_ ? before_->c_str() : nullptr); }
  ScopedEnvironment(const ScopedEnvironment&) = delete;
  ScopedEnvironment& operator=(const ScopedEnvironment&) = delete;

 private:
  void set(const char* value) { value == nullptr ? ::unsetenv(name_) : ::setenv(name_, value, 1); }
  const char* name_;
  std::optional<std::string> before_;
};

}  // namespace lowbit::test
