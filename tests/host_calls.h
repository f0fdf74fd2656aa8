// Every operation over host memory: what they give, and what the reference gives.
#pragma once

#include <cstdint>
#include <vector>

#include "lowbit/lowbit.hpp"

namespace lowbit::test {

class HostCalls {
 public:
  // Prepares its weights on the device.
  explicit HostCalls(const Device& device);

  // All outputs, with what lies between their rows, by a stream on host memory; and of each call why it fell back.
  std::vector<uint8_t> run(const Stream& stream, std::vector<lowbit_fallback_reason>* reasons = nullptr) const;

  static const std::vector<uint8_t>& expected();

 private:
  Weight encoder_, decoder_;
};

}  // namespace lowbit::test
