#include "call.h"
#include "device.h"
#include "guard_samples.h"

using namespace lowbit::core;

namespace {

// A stream that is there and has not failed; a fault sticks to it.
Status ready(const Validator& check, const lowbit_stream* stream) {
  if (stream == nullptr) return check.fail("stream is NULL");
  return stream->stream->fault();
}

// Of a copy, whose end can be reckoned.
Status check_range(const Validator& check, uint64_t offset, uint64_t size) {
  constexpr uint64_t kMost = uint64_t{1} << 62;
  if (offset <= kMost && size <= kMost) return {};
  return check.fail("offset is {} and size {}, each may be at most 2^62", offset, size);
}

// Calls on a stream of the caller's are sampled if the device's guard does that.
void sample_if_asked(Stream& stream) {
  if (stream.device().guard() == LOWBIT_GUARD_SAMPLE) stream.samples = std::make_shared<Samples>(stream);
}

// Waits, and looks at what was sampled.
Status synchronize(Stream& stream) {
  Status status = stream.synchronize();
  if (stream.samples == nullptr) return status;
  if (status.ok()) return stream.samples->tell();
  stream.samples->drop();
  return status;
}

}  // namespace

lowbit_status lowbit_buffer_create(lowbit_device* device, uint64_t size, lowbit_buffer** buffer) {
  return boundary([&]() -> Status {
    const Validator check("buffer_create");
    if (device == nullptr) return check.fail("device is NULL");
    if (buffer == nullptr) return check.fail("buffer is NULL");
    if (size == 0) return check.fail("size is 0, it must be at least 1");
    auto handle = std::make_unique<lowbit_buffer>();
    handle->memory = std::make_shared<Memory>();
    LOWBIT_TRY(Memory::create(device->device, size, handle->memory.get()));
    *buffer = handle.release();
    return {};
  });
}

void lowbit_buffer_destroy(lowbit_buffer* buffer) { delete buffer; }

void* lowbit_buffer_data(const lowbit_buffer* buffer) { return buffer == nullptr ? nullptr : buffer->memory->data(); }

uint64_t lowbit_buffer_size(const lowbit_buffer* buffer) { return buffer == nullptr ? 0 : buffer->memory->size(); }

lowbit_status lowbit_stream_create(lowbit_device* device, lowbit_stream** stream) {
  return boundary([&]() -> Status {
    const Validator check("stream_create");
    if (device == nullptr) return check.fail("device is NULL");
    if (stream == nullptr) return check.fail("stream is NULL");
    auto handle = std::make_unique<lowbit_stream>();
    LOWBIT_TRY(device->device->create_stream(&handle->stream));
    sample_if_asked(*handle->stream);
    *stream = handle.release();
    return {};
  });
}

lowbit_status lowbit_stream_create_on_host_memory(lowbit_device* device, lowbit_stream** stream) {
  return boundary([&]() -> Status {
    const Validator check("stream_create_on_host_memory");
    if (device == nullptr) return check.fail("device is NULL");
    if (stream == nullptr) return check.fail("stream is NULL");
    auto handle = std::make_unique<lowbit_stream>();
    LOWBIT_TRY(device->device->create_stream(&handle->stream));
    sample_if_asked(*handle->stream);
    if (device->device->info().host_memory == 0) LOWBIT_TRY(HostMemory::create(*handle->stream, &handle->host_memory));
    *stream = handle.release();
    return {};
  });
}

lowbit_status lowbit_stream_wrap(lowbit_device* device, void* native, lowbit_stream** stream) {
  return boundary([&]() -> Status {
    const Validator check("stream_wrap");
    if (device == nullptr) return check.fail("device is NULL");
    if (stream == nullptr) return check.fail("stream is NULL");
    auto handle = std::make_unique<lowbit_stream>();
    LOWBIT_TRY(device->device->wrap_stream(native, &handle->stream));
    // Of a VkCommandBuffer lowbit does not know when it has run.
    if (device->device->backend() != Backend::vulkan) sample_if_asked(*handle->stream);
    *stream = handle.release();
    return {};
  });
}

void lowbit_stream_destroy(lowbit_stream* stream) { delete stream; }

void* lowbit_stream_native(const lowbit_stream* stream) {
  return stream == nullptr ? nullptr : stream->stream->native();
}

lowbit_status lowbit_stream_flush(lowbit_stream* stream) {
  return boundary([&]() -> Status {
    LOWBIT_TRY(ready(Validator("stream_flush"), stream));
    return stream->stream->flush();
  });
}

lowbit_status lowbit_stream_synchronize(lowbit_stream* stream) {
  return boundary([&] {
    return stream == nullptr ? Validator("stream_synchronize").fail("stream is NULL") : synchronize(*stream->stream);
  });
}

lowbit_status lowbit_stream_reserve_scratch(lowbit_stream* stream, uint64_t size) {
  return boundary([&] {
    return stream == nullptr ? Validator("stream_reserve_scratch").fail("stream is NULL")
                             : stream->stream->reserve_scratch(size);
  });
}

uint64_t lowbit_stream_scratch_size(const lowbit_stream* stream) {
  return stream == nullptr ? 0 : stream->stream->scratch_size();
}

const char* lowbit_stream_last_kernel(const lowbit_stream* stream) {
  return stream == nullptr ? "" : stream->stream->last_kernel;
}

lowbit_status lowbit_stream_get_fallback(const lowbit_stream* stream, lowbit_fallback* fallback) {
  return boundary([&]() -> Status {
    const Validator check("stream_get_fallback");
    if (stream == nullptr) return check.fail("stream is NULL");
    LOWBIT_TRY(check_struct(check, "fallback", fallback));
    write_fallback(stream->stream->fallback, fallback);
    return {};
  });
}

lowbit_status lowbit_copy_to_device(lowbit_stream* stream, void* device_data, uint64_t offset, const void* host,
                                    uint64_t size) {
  return boundary([&]() -> Status {
    const Validator check("copy_to_device");
    LOWBIT_TRY(ready(check, stream));
    if (size == 0) return {};
    if (device_data == nullptr) return check.fail("device_data is NULL");
    if (host == nullptr) return check.fail("host is NULL");
    LOWBIT_TRY(check_range(check, offset, size));
    return stream->stream->copy_to_device(device_data, offset, host, size);
  });
}

lowbit_status lowbit_copy_to_host(lowbit_stream* stream, void* host, const void* device_data, uint64_t offset,
                                  uint64_t size) {
  return boundary([&]() -> Status {
    const Validator check("copy_to_host");
    LOWBIT_TRY(ready(check, stream));
    if (size == 0) return {};
    if (device_data == nullptr) return check.fail("device_data is NULL");
    if (host == nullptr) return check.fail("host is NULL");
    LOWBIT_TRY(check_range(check, offset, size));
    return stream->stream->copy_to_host(host, device_data, offset, size);
  });
}
