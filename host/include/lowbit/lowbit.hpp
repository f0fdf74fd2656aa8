// lowbit for C++20: RAII handles over lowbit.h, and its statuses as exceptions. Header-only; what each call does, and
// every shape and unit, is written in lowbit.h.
//
//   lowbit::Device device = lowbit::Device::open();
//   lowbit::Stream stream(device);
//   lowbit::quantize_pack(stream, {.group = LOWBIT_PER_TOKEN, .input = ..., .codes = ..., .scales = ...});
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <ranges>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "lowbit/lowbit.h"

namespace lowbit {

// A call that failed: what() is lowbit_last_error().
class Error : public std::runtime_error {
 public:
  // Right behind the call that failed, on its thread.
  explicit Error(lowbit_status status)
      : std::runtime_error(lowbit_last_error()), status_(status), native_code_(lowbit_last_native_code()) {}
  // What the call returned.
  lowbit_status status() const { return status_; }
  // The driver's code behind it, or 0.
  int64_t native_code() const { return native_code_; }

 private:
  lowbit_status status_;
  int64_t native_code_;
};

// Throws an Error unless the call that returned `status` succeeded.
inline void check(lowbit_status status) {
  if (status != LOWBIT_OK) throw Error(status);
}

namespace detail {
template <typename Handle, void (*destroy)(Handle*)>
struct Destroy {
  void operator()(Handle* handle) const { destroy(handle); }
};
template <typename Handle, void (*destroy)(Handle*)>
using Owner = std::unique_ptr<Handle, Destroy<Handle, destroy>>;
}  // namespace detail

// A backend's device. Streams, buffers and weights keep it alive.
class Device {
 public:
  // `options.struct_size` is filled in.
  static Device open(lowbit_device_options options = {}) {
    options.struct_size = sizeof(options);
    lowbit_device* device = nullptr;
    check(lowbit_device_open(&options, &device));
    return Device(device);
  }

  lowbit_device_info info() const {
    lowbit_device_info info{.struct_size = sizeof(info)};
    check(lowbit_device_get_info(get(), &info));
    return info;
  }
  lowbit_fallback fallback() const {
    lowbit_fallback fallback{.struct_size = sizeof(fallback)};
    check(lowbit_device_get_fallback(get(), &fallback));
    return fallback;
  }
  void warm_up(uint32_t operations = 0) const { check(lowbit_device_warm_up(get(), operations)); }

  // The kernels for a call, best first.
  std::vector<lowbit_candidate> explain(lowbit_query query) const {
    query.struct_size = sizeof(query);
    size_t count = 0;
    check(lowbit_explain(get(), &query, nullptr, &count));
    std::vector<lowbit_candidate> candidates(count);
    check(lowbit_explain(get(), &query, candidates.data(), &count));
    return candidates;
  }

  void start_profile() const { check(lowbit_profile_start(get())); }
  void stop_profile() const { check(lowbit_profile_stop(get())); }
  void reset_profile() const { check(lowbit_profile_reset(get())); }
  // The kernels that ran, the one with the most time first.
  std::vector<lowbit_profile_entry> profile() const {
    size_t count = 0;
    check(lowbit_profile_get_entries(get(), nullptr, &count));
    std::vector<lowbit_profile_entry> entries(count);
    check(lowbit_profile_get_entries(get(), entries.data(), &count));
    entries.resize(std::min(count, entries.size()));  // kernels that ran meanwhile are left out
    return entries;
  }
  void write_trace(const std::string& path) const { check(lowbit_profile_write_trace(get(), path.c_str())); }
  // In ns; 0 where it is not known.
  double floor(double bytes, double operations) const {
    double nanoseconds = 0;
    check(lowbit_device_get_floor(get(), bytes, operations, &nanoseconds));
    return nanoseconds;
  }
  lowbit_memory_info memory() const {
    lowbit_memory_info info{.struct_size = sizeof(info)};
    check(lowbit_device_get_memory(get(), &info));
    return info;
  }
  lowbit_capabilities capabilities(lowbit_plan_config config) const {
    config.struct_size = sizeof(config);
    lowbit_capabilities capabilities{.struct_size = sizeof(capabilities)};
    check(lowbit_device_get_capabilities(get(), &config, &capabilities));
    return capabilities;
  }
  lowbit_memory_estimate estimate_memory(lowbit_model model, lowbit_plan_config config) const {
    model.struct_size = sizeof(model);
    config.struct_size = sizeof(config);
    lowbit_memory_estimate estimate{.struct_size = sizeof(estimate)};
    check(lowbit_estimate_memory(get(), &model, &config, &estimate));
    return estimate;
  }
  // For the functions of lowbit.h.
  lowbit_device* get() const { return handle_.get(); }

 private:
  explicit Device(lowbit_device* handle) : handle_(handle) {}
  detail::Owner<lowbit_device, lowbit_device_close> handle_;
};

// Memory of a device.
class Buffer {
 public:
  Buffer(const Device& device, uint64_t size) {
    lowbit_buffer* buffer = nullptr;
    check(lowbit_buffer_create(device.get(), size, &buffer));
    handle_.reset(buffer);
  }
  void* data() const { return lowbit_buffer_data(handle_.get()); }
  uint64_t size() const { return lowbit_buffer_size(handle_.get()); }
  // For the functions of lowbit.h.
  lowbit_buffer* get() const { return handle_.get(); }

 private:
  detail::Owner<lowbit_buffer, lowbit_buffer_destroy> handle_;
};

// An in-order queue of calls, used by one thread at a time.
class Stream {
 public:
  explicit Stream(const Device& device) {
    lowbit_stream* stream = nullptr;
    check(lowbit_stream_create(device.get(), &stream));
    handle_.reset(stream);
  }
  // Over a stream of the caller's (cuda: a cudaStream_t), which must outlive it.
  static Stream wrap(const Device& device, void* native) {
    lowbit_stream* stream = nullptr;
    check(lowbit_stream_wrap(device.get(), native, &stream));
    return Stream(stream);
  }
  // Over tensors of host memory, on every backend.
  static Stream on_host_memory(const Device& device) {
    lowbit_stream* stream = nullptr;
    check(lowbit_stream_create_on_host_memory(device.get(), &stream));
    return Stream(stream);
  }
  void* native() const { return lowbit_stream_native(get()); }
  void flush() const { check(lowbit_stream_flush(get())); }
  void synchronize() const { check(lowbit_stream_synchronize(get())); }
  const char* last_kernel() const { return lowbit_stream_last_kernel(get()); }
  lowbit_fallback fallback() const {
    lowbit_fallback fallback{.struct_size = sizeof(fallback)};
    check(lowbit_stream_get_fallback(get(), &fallback));
    return fallback;
  }

  void start_rho_statistics() const { check(lowbit_rho_statistics_start(get())); }
  void stop_rho_statistics() const { check(lowbit_rho_statistics_stop(get())); }
  lowbit_rho_statistics rho_statistics() const {
    lowbit_rho_statistics statistics{.struct_size = sizeof(statistics)};
    check(lowbit_rho_statistics_get(get(), &statistics));
    return statistics;
  }

  // Enqueues a copy of a contiguous range to the start of `buffer`; the range must live until it ran. Throws
  // std::out_of_range if it is longer than the buffer.
  template <std::ranges::contiguous_range Range>
  void upload(const Buffer& buffer, const Range& host) const {
    const auto bytes = std::as_bytes(std::span(host));
    check_size(bytes.size(), buffer);
    check(lowbit_copy_to_device(get(), buffer.data(), 0, bytes.data(), bytes.size()));
  }
  // Fills a contiguous range from the start of `buffer` and waits.
  template <std::ranges::contiguous_range Range>
  void download(Range&& host, const Buffer& buffer) const {
    const auto bytes = std::as_writable_bytes(std::span(host));
    check_size(bytes.size(), buffer);
    check(lowbit_copy_to_host(get(), bytes.data(), buffer.data(), 0, bytes.size()));
    synchronize();
  }
  // For the functions of lowbit.h.
  lowbit_stream* get() const { return handle_.get(); }

 private:
  explicit Stream(lowbit_stream* handle) : handle_(handle) {}
  static void check_size(size_t bytes, const Buffer& buffer) {
    if (bytes <= buffer.size()) return;
    throw std::out_of_range("copy of " + std::to_string(bytes) + " bytes, but the buffer has " +
                            std::to_string(buffer.size()));
  }
  detail::Owner<lowbit_stream, lowbit_stream_destroy> handle_;
};

// A packed weight in a device's memory.
class Weight {
 public:
  Weight(const Device& device, lowbit_weight_desc desc) {
    desc.struct_size = sizeof(desc);
    lowbit_weight* weight = nullptr;
    check(lowbit_weight_prepare(device.get(), &desc, &weight));
    handle_.reset(weight);
  }
  uint64_t size() const { return lowbit_weight_size(get()); }
  // For the structs of lowbit.h.
  const lowbit_weight* get() const { return handle_.get(); }

 private:
  detail::Owner<lowbit_weight, lowbit_weight_destroy> handle_;
};

// A contiguous tensor over device memory.
inline lowbit_tensor tensor(void* data, lowbit_type type, std::span<const int64_t> shape) {
  lowbit_tensor t{.data = data, .rank = static_cast<int32_t>(shape.size()), .type = type};
  for (size_t axis = 0; axis < shape.size() && axis < 4; ++axis) t.shape[axis] = shape[axis];
  return t;
}
// The same for a shape that is written out.
inline lowbit_tensor tensor(void* data, lowbit_type type, std::initializer_list<int64_t> shape) {
  return tensor(data, type, std::span(shape.begin(), shape.size()));
}
// The same over a whole buffer, whose size is checked against the shape.
inline lowbit_tensor tensor(const Buffer& buffer, lowbit_type type, std::initializer_list<int64_t> shape) {
  lowbit_tensor t = tensor(buffer.data(), type, shape);
  t.size = buffer.size();
  return t;
}

// Another library's tensor as an operand of calls on the stream; the memory and the deleter stay with its owner.
inline lowbit_tensor tensor_from_dlpack(const Stream& stream, const DLManagedTensorVersioned* managed,
                                        bool is_output = false) {
  lowbit_tensor t{};
  check(lowbit_tensor_from_dlpack(stream.get(), managed, is_output, &t));
  return t;
}
// A tensor over the buffer for another library; the memory stays until its deleter, which must be called, has run.
inline DLManagedTensorVersioned* buffer_to_dlpack(const Buffer& buffer, const lowbit_tensor& view) {
  DLManagedTensorVersioned* managed = nullptr;
  check(lowbit_buffer_to_dlpack(buffer.get(), &view, &managed));
  return managed;
}

namespace detail {
template <typename Args>
void call(lowbit_status (*function)(lowbit_stream*, const Args*), const Stream& stream, Args args) {
  args.struct_size = sizeof(args);
  check(function(stream.get(), &args));
}
}  // namespace detail

// The operations. struct_size is filled in.
inline void quantize_pack(const Stream& stream, const lowbit_quantize_pack_args& args) {
  detail::call(lowbit_quantize_pack, stream, args);
}
inline void pack_weight(const Stream& stream, const lowbit_pack_weight_args& args) {
  detail::call(lowbit_pack_weight, stream, args);
}
inline void lowrank_projection(const Stream& stream, const lowbit_lowrank_projection_args& args) {
  detail::call(lowbit_lowrank_projection, stream, args);
}
inline void decoder_tail(const Stream& stream, const lowbit_decoder_tail_args& args) {
  detail::call(lowbit_decoder_tail, stream, args);
}
inline void rho_compress(const Stream& stream, const lowbit_rho_compress_args& args) {
  detail::call(lowbit_rho_compress, stream, args);
}
inline void rho_expand(const Stream& stream, const lowbit_rho_expand_args& args) {
  detail::call(lowbit_rho_expand, stream, args);
}

// By the gate for int8, or by one of the caller's.
inline lowbit_rho_verdict check_rho(const lowbit_rho_statistics& statistics) {
  lowbit_rho_verdict verdict{.struct_size = sizeof(verdict)};
  check(lowbit_rho_gate_check(&statistics, nullptr, &verdict));
  return verdict;
}
inline lowbit_rho_verdict check_rho(const lowbit_rho_statistics& statistics, lowbit_rho_gate gate) {
  gate.struct_size = sizeof(gate);
  lowbit_rho_verdict verdict{.struct_size = sizeof(verdict)};
  check(lowbit_rho_gate_check(&statistics, &gate, &verdict));
  return verdict;
}

// The plan for a configuration on whatever has these capabilities.
inline lowbit_plan choose_plan(lowbit_plan_config config, lowbit_capabilities capabilities) {
  config.struct_size = sizeof(config);
  capabilities.struct_size = sizeof(capabilities);
  lowbit_plan plan{.struct_size = sizeof(plan)};
  check(lowbit_plan_choose(&config, &capabilities, &plan));
  return plan;
}

}  // namespace lowbit
