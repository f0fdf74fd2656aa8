#include "emulated_device.h"

#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <utility>

#include "emulation.h"
#include "exact_memory.h"

namespace lowbit::emulation {

Device device;
std::mutex mutex;

namespace {

std::map<std::string, cudaError_t, std::less<>>& injections() {
  static auto* const all = new std::map<std::string, cudaError_t, std::less<>>;
  return *all;
}

thread_local cudaError_t last_error = cudaSuccess;
thread_local int current = 0;

// Without a driver, or without a device.
cudaError_t driver_error() {
  if (device.driver < CUDART_VERSION / 1000 * 1000) return cudaErrorInsufficientDriver;
  return device.count == 0 ? cudaErrorNoDevice : cudaSuccess;
}

template <typename Body>
cudaError_t ask_device(const char* function, int ordinal, Body body) {
  return ask(function, [&] {
    if (const cudaError_t error = driver_error(); error != cudaSuccess) return error;
    if (ordinal < 0 || ordinal >= device.count) return cudaErrorInvalidDevice;
    return body();
  });
}

cudaDeviceProp properties_of(int ordinal) {
  cudaDeviceProp p{};
  std::strcpy(p.name, "emulated SIMT device");
  std::memcpy(p.uuid.bytes, "lowbit-emulated", sizeof(p.uuid.bytes));
  p.uuid.bytes[15] = static_cast<char>(ordinal);
  p.totalGlobalMem = size_t{128} << 30;
  p.sharedMemPerBlock = kShared;
  p.sharedMemPerBlockOptin = device.most_shared();
  p.sharedMemPerMultiprocessor = device.most_shared() + 1024;
  p.major = device.major;
  p.minor = device.minor;
  p.multiProcessorCount = 2;
  p.maxThreadsPerMultiProcessor = kMostThreads;
  p.l2CacheSize = 4 << 20;
  p.pciBusID = ordinal + 1;
  return p;
}

}  // namespace

cudaError_t injected(const char* function) {
  const auto found = injections().find(function);
  return found == injections().end() ? cudaSuccess : injections().extract(found).mapped();
}

cudaError_t remember(cudaError_t error) {
  if (error != cudaSuccess && error != cudaErrorNotReady) last_error = error;
  return error;
}

int current_device() { return current; }

void set_fill_pattern(uint8_t pattern) { fill_pattern = pattern; }
void set_compute_capability(int major, int minor) { device.major = major, device.minor = minor; }
void set_driver(int version) { device.driver = version; }
void set_device_count(int count) { device.count = count; }
void fail_next(const char* function, cudaError_t error) {
  const std::lock_guard lock(mutex);
  injections()[function] = error;
}
void break_context(cudaError_t error) { device.fault = error; }
void repair_context() { device.fault = cudaSuccess; }
size_t allocations() { return device.allocations; }
size_t synchronizations() { return device.synchronizations; }
size_t launches() { return device.launches; }
size_t events() { return device.events; }

}  // namespace lowbit::emulation

using namespace lowbit::emulation;

cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return last_error; }

cudaError_t cudaDriverGetVersion(int* version) {
  return ask(__func__, [=] { return *version = device.driver, cudaSuccess; });
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  return ask(__func__, [=] { return *version = CUDART_VERSION, cudaSuccess; });
}
cudaError_t cudaGetDeviceCount(int* count) {
  return ask(__func__, [=] {
    const cudaError_t error = driver_error();
    *count = error == cudaSuccess ? device.count.load() : 0;
    return error;
  });
}
cudaError_t cudaSetDevice(int ordinal) {
  return ask_device(__func__, ordinal, [=] { return current = ordinal, cudaSuccess; });
}
cudaError_t cudaGetDevice(int* ordinal) {
  return ask_device(__func__, current, [=] { return *ordinal = current, cudaSuccess; });
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int ordinal) {
  return ask_device(__func__, ordinal, [=] { return *properties = properties_of(ordinal), cudaSuccess; });
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int ordinal) {
  return ask_device(__func__, ordinal, [=] {
    const cudaDeviceProp p = properties_of(ordinal);
    switch (attribute) {
      case cudaDevAttrMaxThreadsPerBlock:
        return *value = 1024, cudaSuccess;
      case cudaDevAttrMaxSharedMemoryPerBlock:
        return *value = static_cast<int>(p.sharedMemPerBlock), cudaSuccess;
      case cudaDevAttrMultiProcessorCount:
        return *value = p.multiProcessorCount, cudaSuccess;
      case cudaDevAttrClockRate:
        return *value = 1'830'000, cudaSuccess;
      case cudaDevAttrMemoryClockRate:
        return *value = 2'619'000, cudaSuccess;
      case cudaDevAttrGlobalMemoryBusWidth:
        return *value = 5120, cudaSuccess;
      case cudaDevAttrL2CacheSize:
        return *value = p.l2CacheSize, cudaSuccess;
      case cudaDevAttrMaxThreadsPerMultiProcessor:
        return *value = p.maxThreadsPerMultiProcessor, cudaSuccess;
      case cudaDevAttrComputeCapabilityMajor:
        return *value = p.major, cudaSuccess;
      case cudaDevAttrComputeCapabilityMinor:
        return *value = p.minor, cudaSuccess;
      case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
        return *value = static_cast<int>(p.sharedMemPerMultiprocessor), cudaSuccess;
      case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        return *value = static_cast<int>(p.sharedMemPerBlockOptin), cudaSuccess;
    }
    return cudaErrorInvalidValue;
  });
}
cudaError_t cudaDeviceGetPCIBusId(char* id, int size, int ordinal) {
  return ask_device(__func__, ordinal, [=] {
    const int length = std::snprintf(id, static_cast<size_t>(size), "0000:%02x:00.0", properties_of(ordinal).pciBusID);
    return length < size ? cudaSuccess : cudaErrorInvalidValue;
  });
}
