#include "host_device.h"

#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string_view>

#include "cpu/detect.h"
#include "cpu/machine.h"
#include "cpu/roofs.h"
#include "invalid_argument.h"
#include "text.h"

namespace lowbit::core {
namespace {

class HostStream final : public Stream {
 public:
  using Stream::Stream;
  Status copy_to_device(void* data, uint64_t offset, const void* host, size_t size) override {
    std::memcpy(static_cast<std::byte*>(data) + offset, host, size);
    return {};
  }
  Status copy_to_host(void* host, const void* data, uint64_t offset, size_t size) override {
    std::memcpy(host, static_cast<const std::byte*>(data) + offset, size);
    return {};
  }
  Status flush() override { return {}; }
  Status synchronize() override { return fault(); }
};

class HostDevice final : public Device {
 public:
  HostDevice(int threads, Backend backend, const lowbit_device_info& info, std::span<const KernelRow> kernels,
             const lowbit_device_options& how)
      : Device(backend, info, kernels, how), threads_(threads), floors_(info.features, threads) {}
  int parts(int64_t tasks, double nanoseconds) const override {
    return cpu::worthwhile_parts(threads_, tasks, nanoseconds);
  }
  int64_t most_cached() const override { return cpu::caches().last_level / 2; }
  Status allocate(size_t size, void** memory) override {
    constexpr size_t kAlignment = 64;
    const size_t rounded = (size + kAlignment - 1) / kAlignment * kAlignment;
    if (rounded >= size) *memory = std::aligned_alloc(kAlignment, rounded);
    if (rounded < size || *memory == nullptr) {
      return {LOWBIT_OUT_OF_MEMORY, fmt::format("{} bytes of host memory cannot be had", size)};
    }
    return {};
  }
  void release(void* memory) noexcept override { std::free(memory); }
  double least_time(const Work& work) override { return floors_.least_time(work.bytes, work.operations); }
  Status create_stream(std::unique_ptr<Stream>* stream) override {
    *stream = std::make_unique<HostStream>(shared_from_this());
    return {};
  }

 private:
  int threads_;
  cpu::Floors floors_;
};

std::string processor_name() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  }
  return "host processor";
}

// The instruction sets that LOWBIT_CPU_ISA may name, best first, with the features each one turns on.
struct Isa {
  const char* name;
  uint64_t features;
};
constexpr uint64_t AVX2 = LOWBIT_FEATURE_AVX2, AVX512 = LOWBIT_FEATURE_AVX512_VNNI, DOTPROD = LOWBIT_FEATURE_DOTPROD;
constexpr Isa kIsas[] = {{"amx", AVX2 | AVX512 | LOWBIT_FEATURE_AMX_INT8},
                         {"avx512vnni", AVX2 | AVX512},
                         {"avxvnni", AVX2 | LOWBIT_FEATURE_AVX_VNNI},
                         {"avx2", AVX2},
                         {"i8mm", DOTPROD | LOWBIT_FEATURE_I8MM},
                         {"dotprod", DOTPROD},
                         {"scalar", 0}};

const char* isa_of(uint64_t features) {
  for (const Isa& isa : kIsas) {
    if ((isa.features & ~features) == 0) return isa.name;
  }
  return "scalar";
}

Status force_isa(const char* forced, uint64_t* features) {
  std::string names;
  for (const Isa& isa : kIsas) {
    names += fmt::format("{}{}", names.empty() ? "" : ", ", isa.name);
    if (std::strcmp(forced, isa.name) != 0) continue;
    if ((isa.features & ~*features) != 0) {
      return {LOWBIT_UNAVAILABLE,
              fmt::format("LOWBIT_CPU_ISA is '{}', which this processor or this call does not offer", forced)};
    }
    *features = isa.features;
    return {};
  }
  return invalid_argument("LOWBIT_CPU_ISA is '{}', it may be {}", forced, names);
}

Status read_threads(int* threads) {
  const char* text = std::getenv("LOWBIT_THREADS");
  if (text == nullptr || *text == '\0') {
    *threads = cpu::default_threads();
    return {};
  }
  const std::string_view all(text);
  const auto [end, error] = std::from_chars(all.begin(), all.end(), *threads);
  if (error != std::errc() || end != all.end() || *threads < 1 || *threads > 1024) {
    return invalid_argument("LOWBIT_THREADS is '{}', it may be 1 to 1024", text);
  }
  return {};
}

}  // namespace

Status open_host_device(Backend backend, const lowbit_device_options& options, std::span<const KernelRow> kernels,
                        std::shared_ptr<Device>* device) {
  const char* name = backend == Backend::cpu ? "cpu" : "reference";
  if (options.device != nullptr && std::strcmp(options.device, "0") != 0) {
    return unavailable(LOWBIT_FALLBACK_NO_DEVICE,
                       fmt::format("the {} backend has no device '{}', it has one, '0'", name, options.device));
  }
  lowbit_device_info info{};
  info.struct_size = sizeof(info);
  int threads = 1;
  if (backend == Backend::cpu) {
    info.features = cpu::detect_features() & ~options.disabled_features;
    const char* forced = std::getenv("LOWBIT_CPU_ISA");
    if (forced != nullptr && *forced != '\0') LOWBIT_TRY(force_isa(forced, &info.features));
    LOWBIT_TRY(read_threads(&threads));
  }
  copy_text(info.backend, name);
  copy_text(info.name, processor_name());
  copy_text(info.isa, isa_of(info.features));
  info.memory_size = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGE_SIZE));
  info.host_memory = 1;
  *device = std::make_shared<HostDevice>(threads, backend, info, kernels, options);
  return {};
}

}  // namespace lowbit::core
