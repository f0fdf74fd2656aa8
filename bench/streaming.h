// Operations that read their operands once and write their results once.
#pragma once

#include <span>

#include "bench.h"

namespace lowbit::bench {

struct Streaming {
  std::vector<std::vector<uint8_t>> inputs;
  std::vector<uint64_t> output_sizes;  // bytes
  // One call, on memory of the stream's device.
  std::function<void(const Stream&, std::span<void* const> inputs, std::span<void* const> outputs)> call;
};

// Throws unless every byte of every set of outputs is the cpu backend's.
Subject make_streaming(const Bench& bench, Streaming streaming);

std::vector<uint8_t> bytes_of(const std::vector<float>& floats);

}  // namespace lowbit::bench
