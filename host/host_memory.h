// Calls over host memory on a device that has its own: operands are copied to the device, results back, and a call that
// the device cannot do is done by the cpu on the same host memory, where the caller allows that.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "device.h"
#include "validate.h"

namespace lowbit::core {

class HostMemory {
 public:
  // For calls on the stream's device, whose memory the host does not share.
  static Status create(const Stream& stream, std::unique_ptr<HostMemory>* made);

  // Runs `enqueue`, which reads the tensors that `operands` point to, on the device and waits; while it runs they are
  // tensors of the stream it is given. Nothing is written to the host's before all of it has run.
  Status call(Stream& stream, std::span<const Operand> operands, const std::function<Status(Stream&)>& enqueue);

 private:
  Status run_on_device(Stream& stream, std::span<const Operand> operands,
                       const std::function<Status(Stream&)>& enqueue);

  std::unique_ptr<Stream> fallback_;  // NULL where the device may not fall back
  Memory operands_;                   // of the call in progress
};

}  // namespace lowbit::core

// A handle of the C boundary.
struct lowbit_stream {
  std::unique_ptr<lowbit::core::Stream> stream;
  std::unique_ptr<lowbit::core::HostMemory> host_memory;  // NULL where tensors are the device's memory
};
