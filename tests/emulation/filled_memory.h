// Memory that holds the fill pattern until it is written, of exactly the size asked for: AddressSanitizer sees overruns.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace lowbit::emulation {

inline std::atomic<uint8_t> fill_pattern = 0xcd;

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
using FilledMemory = std::unique_ptr<void, Free>;

inline FilledMemory make_filled(size_t alignment, size_t size) {
  void* memory = nullptr;
  if (posix_memalign(&memory, alignment, size) != 0) return nullptr;
  std::memset(memory, fill_pattern, size);
  return FilledMemory(memory);
}

}  // namespace lowbit::emulation
