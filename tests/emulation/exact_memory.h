// Memory of exactly the size asked for: AddressSanitizer sees overruns. Making and freeing it are no accesses to
// ThreadSanitizer. What a kernel is given holds the fill pattern until it is written.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "sanitizers.h"

namespace lowbit::emulation {

inline std::atomic<uint8_t> fill_pattern = 0xcd;

struct Free {
  void operator()(void* memory) const {
    const UnseenWrites unseen;
    std::free(memory);
  }
};
using Memory = std::unique_ptr<void, Free>;

inline Memory allocate(size_t alignment, size_t size) {
  const UnseenWrites unseen;
  void* memory = nullptr;
  return Memory(posix_memalign(&memory, alignment, size) == 0 ? memory : nullptr);
}

inline Memory allocate_filled(size_t alignment, size_t size) {
  Memory memory = allocate(alignment, size);
  const UnseenWrites unseen;
  if (memory != nullptr) std::memset(memory.get(), fill_pattern, size);
  return memory;
}

}  // namespace lowbit::emulation
