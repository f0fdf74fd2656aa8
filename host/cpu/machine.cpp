#include "cpu/machine.h"

#include <unistd.h>

#include <algorithm>
#include <thread>

#include "device.h"
#include "float_environment.h"

namespace lowbit::core::cpu {
namespace {

constexpr double kLeastWork = 10e3;  // nanoseconds

int64_t size_or(int name, int64_t guess) {
  const long size = sysconf(name);
  return size > 0 ? size : guess;
}

}  // namespace

const Caches& caches() {
  static const Caches sizes = {size_or(_SC_LEVEL1_DCACHE_SIZE, 32 << 10), size_or(_SC_LEVEL2_CACHE_SIZE, 512 << 10),
                               size_or(_SC_LEVEL3_CACHE_SIZE, 8 << 20)};
  return sizes;
}

#if defined(_OPENMP)

void run_parts(int parts, void (*body)(void* context, int part), void* context) {
  if (parts == 1) return body(context, 0);
    // Not `parallel` over as many threads as parts: OpenMP may give fewer.
#pragma omp parallel for num_threads(parts) schedule(static, 1)
  for (int part = 0; part < parts; ++part) {
    const FloatEnvironment environment;
    body(context, part);
  }
}

#else

void run_parts(int parts, void (*body)(void* context, int part), void* context) {
  for (int part = 0; part < parts; ++part) body(context, part);
}

#endif

int default_threads() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency())); }

int worthwhile_parts(int threads, int64_t tasks, double nanoseconds) {
  const auto worthwhile = static_cast<int64_t>(std::min(nanoseconds / kLeastWork, 1e6));
  return static_cast<int>(std::clamp<int64_t>(std::min(tasks, worthwhile), 1, threads));
}

int parts_for(const Stream& stream, int64_t tasks, double nanoseconds) {
  return stream.device().parts(tasks, nanoseconds);
}

}  // namespace lowbit::core::cpu
