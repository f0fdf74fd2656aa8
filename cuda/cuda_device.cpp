#include "cuda_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstring>

#include "error.h"
#include "event_times.h"
#include "launch.h"
#include "open_device.h"
#include "tensor_map.h"
#include "text.h"

namespace lowbit::core::cuda {
namespace {

// "GPU-01234567-89ab-cdef-0123-456789abcdef", as nvidia-smi prints it.
std::string uuid_text(const cudaUUID_t& uuid) {
  std::string text = "GPU";
  for (int i = 0; i < 16; ++i) {
    const bool starts_part = i == 0 || i == 4 || i == 6 || i == 8 || i == 10;
    text += fmt::format("{}{:02x}", starts_part ? "-" : "", static_cast<uint8_t>(uuid.bytes[i]));
  }
  return text;
}

std::string pci_text(const cudaDeviceProp& p) {
  return fmt::format("{:04x}:{:02x}:{:02x}.0", p.pciDomainID, p.pciBusID, p.pciDeviceID);
}

bool same_text(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

// Why CUDA has no device here, told apart by the driver's version.
Status find_devices(int* count) {
  int driver = 0;
  cudaDriverGetVersion(&driver);
  if (driver == 0) return unavailable(LOWBIT_FALLBACK_NO_DRIVER, "libcuda.so.1 cannot be loaded");
  if (driver / 1000 < CUDART_VERSION / 1000) {
    return unavailable(LOWBIT_FALLBACK_DRIVER_TOO_OLD,
                       fmt::format("the driver knows CUDA {}.{}, this build needs {}.0", driver / 1000,
                                   driver % 1000 / 10, CUDART_VERSION / 1000));
  }
  const cudaError_t error = cudaGetDeviceCount(count);
  if (error == cudaErrorNoDevice || (error == cudaSuccess && *count == 0)) {
    return unavailable(LOWBIT_FALLBACK_NO_DEVICE, "the driver finds no CUDA device");
  }
  return check(error, "counting the CUDA devices");
}

// nvidia-smi prints a PCI bus id with eight digits of domain, CUDA with four.
std::string_view without_long_domain(std::string_view id) {
  return id.size() == 16 && id.starts_with("0000") && id[8] == ':' ? id.substr(4) : id;
}

Status find_device(const char* wanted, int count, int* ordinal, cudaDeviceProp* properties) {
  std::string there;
  for (int i = 0; i < count; ++i) {
    LOWBIT_TRY(check(cudaGetDeviceProperties(properties, i), "asking for a device's properties"));
    const std::string uuid = uuid_text(properties->uuid), pci = pci_text(*properties);
    if (wanted == nullptr || same_text(wanted, std::to_string(i)) || same_text(wanted, uuid) ||
        same_text(without_long_domain(wanted), pci)) {
      *ordinal = i;
      return {};
    }
    there += fmt::format("{}{} ({}, {}, {})", i == 0 ? "" : "; ", i, properties->name, uuid, pci);
  }
  return unavailable(LOWBIT_FALLBACK_NO_DEVICE,
                     fmt::format("the cuda backend has no device '{}', it has {}", wanted, there));
}

uint64_t features_of(const cudaDeviceProp& properties) {
  uint64_t features = 0;
  if (properties.major >= 8) features |= LOWBIT_FEATURE_MMA_INT8;
  if (LOWBIT_HAVE_SM90A && properties.major == 9 && can_make_tensor_maps()) features |= LOWBIT_FEATURE_WGMMA;
  return features;
}

}  // namespace

CurrentDevice::CurrentDevice(int ordinal) {
  changed_ = cudaGetDevice(&before_) == cudaSuccess && before_ != ordinal && cudaSetDevice(ordinal) == cudaSuccess;
}

CurrentDevice::~CurrentDevice() {
  if (changed_) cudaSetDevice(before_);
}

Status open_device(const lowbit_device_options& options, std::span<const KernelRow> kernels,
                   std::shared_ptr<core::Device>* device) {
  int count = 0, ordinal = 0;
  LOWBIT_TRY(find_devices(&count));
  cudaDeviceProp properties{};
  LOWBIT_TRY(find_device(options.device, count, &ordinal, &properties));
  lowbit_device_info info{.struct_size = sizeof(info)};
  if (properties.major * 10 + properties.minor < 75) {
    return unavailable(LOWBIT_FALLBACK_FEATURE_MISSING,
                       fmt::format("{} has compute capability {}.{}, lowbit needs 7.5", properties.name,
                                   properties.major, properties.minor));
  }
  copy_text(info.backend, "cuda");
  copy_text(info.name, properties.name);
  copy_text(info.isa, fmt::format("sm_{}{}", properties.major, properties.minor));
  info.features = features_of(properties) & ~options.disabled_features;
  info.memory_size = properties.totalGlobalMem;
  auto made = std::make_shared<CudaDevice>(ordinal, properties, info, kernels, options);
  LOWBIT_TRY(made->initialize());
  *device = std::move(made);
  return {};
}

CudaDevice::CudaDevice(int ordinal, const cudaDeviceProp& properties, lowbit_device_info info,
                       std::span<const KernelRow> kernels, const lowbit_device_options& how)
    : core::Device(Backend::cuda, info, kernels, how),
      ordinal_(ordinal),
      capability_(properties.major * 10 + properties.minor),
      multiprocessors_(properties.multiProcessorCount) {}

Status CudaDevice::initialize() {
  const CurrentDevice current(ordinal_);
  ask_rates();
  int most_shared = 0;
  LOWBIT_TRY(check(cudaDeviceGetAttribute(&most_shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, ordinal_),
                   "asking for the shared memory of a block"));
  for (const EnrolledKernel* kernel = EnrolledKernel::first; kernel != nullptr; kernel = kernel->next) {
    cudaFuncAttributes attributes{};
    LOWBIT_TRY(check(cudaFuncGetAttributes(&attributes, kernel->function), "loading a kernel"));
    LOWBIT_TRY(check(cudaFuncSetAttribute(kernel->function, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                          most_shared - static_cast<int>(attributes.sharedSizeBytes)),
                     "allowing a kernel its shared memory"));
  }
  cudaMemPoolProps pool{};
  pool.allocType = cudaMemAllocationTypePinned;
  pool.location = {cudaMemLocationTypeDevice, {ordinal_}};
  LOWBIT_TRY(check(cudaMemPoolCreate(&pool_, &pool), "creating a memory pool"));
  uint64_t keep_all = UINT64_MAX;  // memory that is released serves the next allocation
  LOWBIT_TRY(check(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &keep_all), "setting up the pool"));
  return check(cudaStreamCreateWithFlags(&allocations_, cudaStreamNonBlocking), "creating the stream of allocations");
}

CudaDevice::~CudaDevice() {
  const CurrentDevice current(ordinal_);
  for (void* kept : kept_) cudaFreeAsync(kept, allocations_);
  if (allocations_ != nullptr) cudaStreamDestroy(allocations_);
  if (pool_ != nullptr) cudaMemPoolDestroy(pool_);
}

Status CudaDevice::allocate(size_t size, void** memory) {
  const CurrentDevice current(ordinal_);
  const ApartFromCaptures apart;
  const Status status = check(cudaMallocFromPoolAsync(memory, size, pool_, allocations_), "allocating");
  if (status.code() == LOWBIT_OUT_OF_MEMORY) {
    return {LOWBIT_OUT_OF_MEMORY, fmt::format("{} bytes of device memory cannot be had: {}", size, status.sentence()),
            status.native_code()};
  }
  LOWBIT_TRY(status);
  return check(cudaStreamSynchronize(allocations_), "allocating");
}

void CudaDevice::release(void* memory) noexcept {
  const CurrentDevice current(ordinal_);
  const ApartFromCaptures apart;
  const std::lock_guard lock(mutex_);
  kept_.push_back(memory);
  if (std::any_of(streams_.begin(), streams_.end(), [](const CudaStream* stream) { return stream->is_capturing(); })) {
    return;
  }
  for (const CudaStream* stream : streams_) cudaStreamSynchronize(stream->handle());
  for (void* kept : kept_) cudaFreeAsync(kept, allocations_);
  kept_.clear();
}

uint64_t CudaDevice::memory_reserved() const {
  const ApartFromCaptures apart;
  uint64_t size = 0;
  if (cudaMemPoolGetAttribute(pool_, cudaMemPoolAttrReservedMemCurrent, &size) == cudaSuccess) return size;
  cudaGetLastError();  // of a broken context, which the next call tells
  return memory_in_use();
}

void CudaDevice::ask_rates() {
  // Multiply-adds of int8 that a multiprocessor's tensor cores do in a cycle: what NVIDIA's data sheets have of a board's
  // dense int8 operations, over its multiprocessors and its boost clock.
  struct Architecture {
    int capability;
    double multiply_adds;
  };
  constexpr Architecture kArchitectures[] = {
      {75, 1024},   // T4: 130 TOPS, 40 at 1.59 GHz
      {80, 2048},   // A100: 624 TOPS, 108 at 1.41 GHz
      {86, 1024},   // RTX 3090: 284 TOPS, 82 at 1.70 GHz
      {89, 1024},   // RTX 4090: 661 TOPS, 128 at 2.52 GHz
      {90, 4096},   // H100 SXM: 1979 TOPS, 132 at 1.83 GHz
      {100, 8192},  // B200: 4500 TOPS, 148 at 1.85 GHz
      {120, 1024},  // RTX 5060: clpeak measures 165 TOPS, 30 at 2.74 GHz
  };
  const auto ask = [&](cudaDeviceAttr attribute) {
    int value = 0;
    if (cudaDeviceGetAttribute(&value, attribute, ordinal_) == cudaSuccess) return value;
    cudaGetLastError();  // not known is not an error here
    return 0;
  };
  const int memory_clock = ask(cudaDevAttrMemoryClockRate), clock = ask(cudaDevAttrClockRate);  // kHz
  rates_.bytes = 2.0 * memory_clock * 1e-6 * ask(cudaDevAttrGlobalMemoryBusWidth) / 8;          // at both edges
  for (const Architecture& architecture : kArchitectures) {
    if (architecture.capability != capability_) continue;
    rates_.multiply_adds = architecture.multiply_adds * multiprocessors_ * clock * 1e-6;
  }
}

double CudaDevice::least_time(const core::Work& work) {
  const bool is_known = (work.bytes == 0 || rates_.bytes != 0) && (work.operations == 0 || rates_.multiply_adds != 0);
  if (!is_known) return 0;
  const double moving = work.bytes == 0 ? 0 : work.bytes / rates_.bytes;
  return work.operations == 0 ? moving : std::max(moving, work.operations / 2 / rates_.multiply_adds);
}

Status CudaDevice::zero(void* memory, size_t size) {
  const CurrentDevice current(ordinal_);
  const ApartFromCaptures apart;
  LOWBIT_TRY(check(cudaMemsetAsync(memory, 0, size, allocations_), "clearing memory"));
  return check(cudaStreamSynchronize(allocations_), "clearing memory");
}

Status CudaDevice::create_stream(std::unique_ptr<core::Stream>* stream) {
  const CurrentDevice current(ordinal_);
  cudaStream_t native = nullptr;
  LOWBIT_TRY(check(cudaStreamCreateWithFlags(&native, cudaStreamNonBlocking), "creating a stream"));
  auto made = std::make_unique<CudaStream>(shared_from_this(), native, true);
  LOWBIT_TRY(made->initialize());
  *stream = std::move(made);
  return {};
}

Status CudaDevice::wrap_stream(void* native, std::unique_ptr<core::Stream>* stream) {
  const CurrentDevice current(ordinal_);
  auto made = std::make_unique<CudaStream>(shared_from_this(), static_cast<cudaStream_t>(native), false);
  LOWBIT_TRY(made->initialize());
  *stream = std::move(made);
  return {};
}

// The host knows of an event when it has waited for it, so kernels are shown late by that wait, some 10 us; twice, since
// the first may wake the device.
Status CudaDevice::start_clock() {
  const CurrentDevice current(ordinal_);
  const ApartFromCaptures apart;
  const auto anchor = std::make_shared<Anchor>();
  LOWBIT_TRY(check(cudaEventCreate(&anchor->event), "creating an event"));
  for (int turn = 0; turn < 2; ++turn) {
    LOWBIT_TRY(check(cudaEventRecord(anchor->event, allocations_), "recording an event"));
    LOWBIT_TRY(check(cudaEventSynchronize(anchor->event), "waiting for an event"));
    anchor->time = Profiler::Clock::now();
  }
  const std::lock_guard lock(mutex_);
  anchor_ = anchor;
  return {};
}

std::shared_ptr<const Anchor> CudaDevice::anchor() const {
  const std::lock_guard lock(mutex_);
  return anchor_;
}

}  // namespace lowbit::core::cuda
