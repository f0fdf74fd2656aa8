// What kernels of the cpu backend know of the machine: its caches, and its threads.
#pragma once

#include <cstdint>
#include <type_traits>

namespace lowbit::core {
class Stream;
}

namespace lowbit::core::cpu {

// Bytes, of what one thread can use; guesses where the system does not say.
struct Caches {
  int64_t level2, last_level;
};
const Caches& caches();

// Threads that a call may use where LOWBIT_THREADS does not say: one for each processor that the process may run on.
int default_threads();

// In how many parts to do `tasks` that take one thread about `nanoseconds` together: at most `threads`, and none that
// would work for less than half of the 20 microseconds that waking a thread may take.
int worthwhile_parts(int threads, int64_t tasks, double nanoseconds);
// The same as the stream's device decides it.
int parts_for(const Stream& stream, int64_t tasks, double nanoseconds);

// Runs `body(context, part)` for every part at once, each in a default float environment; the caller's thread does one. Without
// OpenMP one after the other.
void run_parts(int parts, void (*body)(void* context, int part), void* context);

// Cuts `tasks` into `parts` runs of equal length and calls `body(part, first, last)` for each, in any order.
template <typename Body>
void for_parts(int parts, int64_t tasks, Body body) {
  const auto run = [&](int part) { body(part, tasks * part / parts, tasks * (part + 1) / parts); };
  run_parts(
      parts, [](void* context, int part) { (*static_cast<decltype(run)*>(context))(part); },
      const_cast<void*>(static_cast<const void*>(&run)));
}

}  // namespace lowbit::core::cpu
