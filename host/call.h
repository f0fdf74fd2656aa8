// The way of a call, from the C boundary to the kernel: arguments read, stream ready, body run.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include "device.h"
#include "float_environment.h"
#include "host_memory.h"
#include "status.h"
#include "text.h"
#include "validate.h"

namespace lowbit::core {

// The size of a struct's first version, the least that its struct_size may be. One that grows gets a line here, with the
// first field that it grew by.
template <typename Struct>
inline constexpr size_t kFirstSize = sizeof(Struct);
template <>
inline constexpr size_t kFirstSize<lowbit_query> = offsetof(lowbit_query, rows);
template <>
inline constexpr size_t kFirstSize<lowbit_memory_info> = offsetof(lowbit_memory_info, reserved);

// A struct_size beyond it is a mistake, whose bytes are not looked at.
constexpr size_t kMostStructSize = 4096;

// A struct that starts with struct_size, of this version, an earlier or a later one: what a later one has behind ours must
// be zero. Only struct_size bytes of it are there.
template <typename Struct>
Status check_struct(const Validator& check, const char* name, const Struct* given) {
  if (given == nullptr) return check.fail("{} is NULL", name);
  const uint32_t size = given->struct_size;
  if (size < kFirstSize<Struct> || size > kMostStructSize) {
    return check.fail("{}.struct_size is {}, it may be {} to {}", name, size, kFirstSize<Struct>, kMostStructSize);
  }
  const auto* bytes = reinterpret_cast<const std::byte*>(given);
  for (size_t i = sizeof(Struct); i < size; ++i) {
    if (bytes[i] == std::byte{}) continue;
    return check.fail("{} was made for a later lowbit than {}: its byte {} is not zero, and here it has {}", name,
                      lowbit_version(), i, sizeof(Struct));
  }
  return {};
}

// Its fields, those it lacks being zero.
template <typename Struct>
Status read_struct(const Validator& check, const char* name, const Struct* from, Struct* to) {
  LOWBIT_TRY(check_struct(check, name, from));
  *to = {};
  std::memcpy(to, from, std::min<size_t>(from->struct_size, sizeof(Struct)));
  return {};
}

// Fills in a struct that check_struct() has passed, as far as it goes.
template <typename Struct>
void write_struct(const Struct& from, Struct* to) {
  const uint32_t size = to->struct_size;
  std::memcpy(to, &from, std::min<size_t>(size, sizeof(Struct)));
  to->struct_size = size;
}

inline void write_fallback(const Fallback& from, lowbit_fallback* to) {
  lowbit_fallback made{.reason = from.reason};
  copy_text(made.detail, from.detail);
  write_struct(made, to);
}

// An operation's three parts:
//   operands  Args& -> std::array<Operand, n>: its tensors
//   validate  (const Validator&, const Device&, Args&) -> Status: all that can be told before its kernel is chosen; fills
//             in what the caller may leave out
//   enqueue   (Stream&, const Args&) -> Status: chooses the kernel and launches it
template <typename Args, size_t n>
lowbit_status call(const char* operation, lowbit_stream* stream, const Args* args,
                   std::array<Operand, n> (*operands)(Args&),
                   Status (*validate)(const Validator&, const Device&, Args&),
                   Status (*enqueue)(Stream&, const Args&)) {
  return boundary([&]() -> Status {
    if (stream == nullptr) return Validator(operation).fail("stream is NULL");
    Stream& on = *stream->stream;
    HostMemory* const host_memory = stream->host_memory.get();
    const Validator check(operation, host_memory != nullptr || on.device().has_addresses());
    Args copy{};
    LOWBIT_TRY(read_struct(check, "args", args, &copy));
    const FloatEnvironment environment;
    if (host_memory == nullptr) LOWBIT_TRY(on.begin());
    LOWBIT_TRY(validate(check, on.device(), copy));
    const std::array<Operand, n> tensors = operands(copy);
    LOWBIT_TRY(check.disjoint(tensors));
    const auto enqueue_on = [&](Stream& stream_of_tensors) {
      stream_of_tensors.last_call = operation;
      return enqueue(stream_of_tensors, copy);
    };
    return host_memory == nullptr ? enqueue_on(on) : host_memory->call(on, tensors, enqueue_on);
  });
}

}  // namespace lowbit::core
