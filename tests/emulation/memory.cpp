// Device memory and pinned memory, and copies.
#include <cstring>
#include <map>
#include <optional>

#include "emulated_device.h"
#include "emulated_stream.h"
#include "exact_memory.h"

namespace lowbit::emulation {

// Memory that is freed goes back to the host at once, and AddressSanitizer knows.
struct Pool {
  int device;
};

namespace {

struct Allocation {
  size_t size;
  cudaMemoryType type;
  int device;
  std::shared_ptr<void> memory;
};
using Allocations = std::map<uintptr_t, Allocation>;

Allocations& allocated() {
  static auto* const all = new Allocations;
  return *all;
}

uintptr_t address_of(const void* memory) { return reinterpret_cast<uintptr_t>(memory); }

// NULL: pageable memory.
const Allocation* find(const void* memory) {
  const auto after = allocated().upper_bound(address_of(memory));
  if (after == allocated().begin()) return nullptr;
  const auto& [begin, allocation] = *std::prev(after);
  return address_of(memory) - begin < allocation.size ? &allocation : nullptr;
}

cudaMemoryType type_of(const void* memory) {
  const Allocation* const allocation = find(memory);
  return allocation != nullptr ? allocation->type : cudaMemoryTypeUnregistered;
}

bool is_on_device(const void* memory, size_t size) {
  const Allocation* const allocation = find(memory);
  return allocation != nullptr && allocation->type == cudaMemoryTypeDevice &&
         size <= allocation->size - (address_of(memory) - address_of(allocation->memory.get()));
}

cudaError_t make(void** memory, size_t size, cudaMemoryType type) {
  constexpr size_t kMost = size_t{4} << 30;
  *memory = nullptr;
  if (size > kMost) return cudaErrorMemoryAllocation;
  if (size == 0) return cudaSuccess;
  constexpr size_t kAlignment = 256;
  Memory made = type == cudaMemoryTypeDevice ? allocate_filled(kAlignment, size) : allocate(kAlignment, size);
  if (made == nullptr) return cudaErrorMemoryAllocation;
  ++device.allocations;
  *memory = made.get();
  allocated()[address_of(*memory)] = {size, type, current_device(), std::move(made)};
  return cudaSuccess;
}

// The memory itself, no longer known by its address; NULL where there is none of this type.
std::shared_ptr<void> take(void* memory, cudaMemoryType type) {
  const auto found = allocated().find(address_of(memory));
  if (found == allocated().end() || found->second.type != type) return nullptr;
  return allocated().extract(found).mapped().memory;
}

// A capture would make graph nodes of allocations, which lowbit does not use.
cudaError_t refuse_node(const Stream& stream) {
  return stream.capture != nullptr ? cudaErrorNotSupported : cudaSuccess;
}

bool matches(cudaMemcpyKind kind, const void* to, const void* from, size_t size) {
  const bool to_device = is_on_device(to, size), from_device = is_on_device(from, size);
  const bool to_host = type_of(to) != cudaMemoryTypeDevice, from_host = type_of(from) != cudaMemoryTypeDevice;
  switch (kind) {
    case cudaMemcpyHostToHost:
      return to_host && from_host;
    case cudaMemcpyHostToDevice:
      return to_device && from_host;
    case cudaMemcpyDeviceToHost:
      return to_host && from_device;
    case cudaMemcpyDeviceToDevice:
      return to_device && from_device;
    case cudaMemcpyDefault:
      return (to_device || to_host) && (from_device || from_host);
  }
  return false;
}

// Pageable memory is read when the copy is enqueued, and written before it returns.
cudaError_t copy(Stream& stream, void* to, const void* from, size_t size, cudaMemcpyKind kind) {
  if (size == 0) return cudaSuccess;
  if (!matches(kind, to, from, size)) return cudaErrorInvalidValue;
  if (stream.capture == nullptr && type_of(from) == cudaMemoryTypeUnregistered) {
    const auto* const bytes = static_cast<const std::byte*>(from);
    stream.enqueue([to, taken = std::vector(bytes, bytes + size)] { std::memcpy(to, taken.data(), taken.size()); });
  } else if (const cudaError_t error = stream.enqueue([=] { std::memcpy(to, from, size); }); error != cudaSuccess) {
    return error;
  }
  if (stream.capture == nullptr && type_of(to) == cudaMemoryTypeUnregistered) stream.run_all();
  return cudaSuccess;
}

}  // namespace
}  // namespace lowbit::emulation

using namespace lowbit::emulation;

cudaError_t cudaMalloc(void** memory, size_t size) {
  return call(__func__, [=] {
    const cudaError_t error = refuse_unsafe();
    return error != cudaSuccess ? error : make(memory, size, cudaMemoryTypeDevice);
  });
}

cudaError_t cudaFree(void* memory) {
  return call(__func__, [=] {
    if (const cudaError_t error = refuse_unsafe(); error != cudaSuccess) return error;
    run_all_streams();
    return memory == nullptr || take(memory, cudaMemoryTypeDevice) != nullptr ? cudaSuccess : cudaErrorInvalidValue;
  });
}

cudaError_t cudaMallocHost(void** memory, size_t size) {
  return call(__func__, [=] {
    const cudaError_t error = refuse_unsafe();
    return error != cudaSuccess ? error : make(memory, size, cudaMemoryTypeHost);
  });
}

// At once: CUDA does not promise to wait for copies.
cudaError_t cudaFreeHost(void* memory) {
  return call(__func__, [=] {
    if (const cudaError_t error = refuse_unsafe(); error != cudaSuccess) return error;
    return memory == nullptr || take(memory, cudaMemoryTypeHost) != nullptr ? cudaSuccess : cudaErrorInvalidValue;
  });
}

cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps*) {
  return call(__func__, [=] { return *pool = new Pool{current_device()}, cudaSuccess; });
}

cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool) {
  return call(__func__, [=] { return delete pool, cudaSuccess; });
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, cudaMemPoolAttr, void*) {
  return call(__func__, [] { return cudaSuccess; });
}

cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value) {
  return call(__func__, [=] {
    if (attribute != cudaMemPoolAttrReservedMemCurrent) return cudaErrorInvalidValue;
    uint64_t size = 0;
    for (const auto& [address, allocation] : allocated()) {
      if (allocation.type == cudaMemoryTypeDevice && allocation.device == pool->device) size += allocation.size;
    }
    return *static_cast<uint64_t*>(value) = size, cudaSuccess;
  });
}

cudaError_t cudaMallocAsync(void** memory, size_t size, cudaStream_t handle) {
  return call_on(__func__, handle, [=](const Stream& stream) {
    const cudaError_t error = refuse_node(stream);
    return error != cudaSuccess ? error : make(memory, size, cudaMemoryTypeDevice);
  });
}

cudaError_t cudaMallocFromPoolAsync(void** memory, size_t size, cudaMemPool_t, cudaStream_t handle) {
  return call_on(__func__, handle, [=](const Stream& stream) {
    const cudaError_t error = refuse_node(stream);
    return error != cudaSuccess ? error : make(memory, size, cudaMemoryTypeDevice);
  });
}

cudaError_t cudaFreeAsync(void* memory, cudaStream_t handle) {
  return call_on(__func__, handle, [=](Stream& stream) {
    if (const cudaError_t error = refuse_node(stream); error != cudaSuccess) return error;
    std::shared_ptr<void> taken = take(memory, cudaMemoryTypeDevice);
    if (taken == nullptr) return memory == nullptr ? cudaSuccess : cudaErrorInvalidValue;
    return stream.enqueue([taken = std::move(taken)] {});  // freed with the work, once that was reached
  });
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t size, cudaMemcpyKind kind) {
  return call_on(__func__, nullptr, [=](Stream& stream) {
    if (const cudaError_t error = refuse_unsafe(); error != cudaSuccess) return error;
    const cudaError_t error = copy(stream, to, from, size, kind);
    ++device.synchronizations;
    stream.run_all();
    return error;
  });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind kind, cudaStream_t handle) {
  return call_on(__func__, handle, [=](Stream& stream) { return copy(stream, to, from, size, kind); });
}

cudaError_t cudaMemsetAsync(void* to, int value, size_t size, cudaStream_t handle) {
  return call_on(__func__, handle, [=](Stream& stream) {
    if (!is_on_device(to, size)) return size == 0 ? cudaSuccess : cudaErrorInvalidValue;
    return stream.enqueue([=] { std::memset(to, value, size); });
  });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* memory) {
  return call(__func__, [=] {
    const Allocation* const found = find(memory);
    void* const address = const_cast<void*>(memory);
    *attributes = found == nullptr ? cudaPointerAttributes{cudaMemoryTypeUnregistered, -2, nullptr, address}
                  : found->type == cudaMemoryTypeDevice
                      ? cudaPointerAttributes{found->type, found->device, address, nullptr}
                      : cudaPointerAttributes{found->type, found->device, address, address};
    return cudaSuccess;
  });
}
