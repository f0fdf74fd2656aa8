// The way of a call, from the C boundary to the kernel: arguments read, stream ready, body run.
#pragma once

#include <array>

#include "device.h"
#include "float_environment.h"
#include "host_memory.h"
#include "status.h"
#include "text.h"
#include "validate.h"

namespace lowbit::core {

// Copies a struct that starts with struct_size. There is one version of each so far; when one grows, smaller sizes are
// accepted and the fields they lack are zero.
template <typename Args>
Status read_struct(const Validator& check, const char* name, const Args* from, Args* to) {
  if (from == nullptr) return check.fail("{} is NULL", name);
  if (from->struct_size != sizeof(Args)) {
    return check.fail("{}.struct_size is {}, it must be {}", name, from->struct_size, sizeof(Args));
  }
  *to = *from;
  return {};
}

inline void write_fallback(const Fallback& from, lowbit_fallback* to) {
  to->reason = from.reason;
  copy_text(to->detail, from.detail);
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
    if (host_memory == nullptr) return enqueue(on, copy);
    return host_memory->call(on, tensors, [&](Stream& stream_of_tensors) { return enqueue(stream_of_tensors, copy); });
  });
}

}  // namespace lowbit::core
