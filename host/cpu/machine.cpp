#include "cpu/machine.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <thread>

#include "device.h"
#include "float_environment.h"

namespace lowbit::core::cpu {
namespace {

constexpr double kLeastWork = 10e3;  // nanoseconds

// In bytes, of the first processor's cache of a level that holds data, as Linux has it in sysfs; sysconf's third level is
// the whole package's on some machines.
int64_t size_of_cache(int level, int64_t guess) {
  for (int index = 0;; ++index) {
    const std::string folder = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/";
    int its_level = 0;
    int64_t kilobytes = 0;
    std::string type;
    if (!(std::ifstream(folder + "level") >> its_level)) return guess;
    if (its_level != level || !(std::ifstream(folder + "type") >> type) || type == "Instruction") continue;
    return std::ifstream(folder + "size") >> kilobytes && kilobytes > 0 ? kilobytes << 10 : guess;  // "32768K"
  }
}

}  // namespace

const Caches& caches() {
  static const Caches sizes = {size_of_cache(2, 512 << 10), size_of_cache(3, 8 << 20)};
  return sizes;
}

#if defined(_OPENMP)

int default_threads() {
  cpu_set_t processors;
  if (sched_getaffinity(0, sizeof(processors), &processors) == 0) return CPU_COUNT(&processors);
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));  // more than a cpu_set_t has room for
}

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

int default_threads() { return 1; }

void run_parts(int parts, void (*body)(void* context, int part), void* context) {
  for (int part = 0; part < parts; ++part) body(context, part);
}

#endif

int worthwhile_parts(int threads, int64_t tasks, double nanoseconds) {
  const auto worthwhile = static_cast<int64_t>(std::min(nanoseconds / kLeastWork, 1e6));
  return static_cast<int>(std::clamp<int64_t>(std::min(tasks, worthwhile), 1, threads));
}

int parts_for(const Stream& stream, int64_t tasks, double nanoseconds) {
  return stream.device().parts(tasks, nanoseconds);
}

}  // namespace lowbit::core::cpu
