// The way of a call, from the C boundary to the kernel: arguments read, stream ready, body run.
#pragma once

#include "device.h"
#include "float_environment.h"
#include "status.h"
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

// `body` is Status(const Validator&, Stream&, Args&); it validates, chooses a kernel and launches it.
template <typename Args, typename Body>
lowbit_status call(const char* operation, lowbit_stream* stream, const Args* args, Body&& body) {
  return boundary([&]() -> Status {
    if (stream == nullptr) return Validator(operation).fail("stream is NULL");
    const Validator check(operation, stream->stream->device().has_addresses());
    Args copy{};
    LOWBIT_TRY(read_struct(check, "args", args, &copy));
    const FloatEnvironment environment;
    LOWBIT_TRY(stream->stream->begin());
    return body(check, *stream->stream, copy);
  });
}

}  // namespace lowbit::core
