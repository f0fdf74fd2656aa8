#include "cpu/roofs.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>

#include "cpu/machine.h"
#include "cpu/roof.h"
#include "cpu/roof_loops.h"
#include "lowbit/lowbit.h"

namespace lowbit::core::cpu {
namespace {

constexpr int64_t kPage = 4096;

// Loads that every processor of the architecture has.
void read_plainly(const void* data, size_t size) {
  using Vector [[gnu::vector_size(16)]] = uint64_t;
  read_all<Vector>(data, size);
}

constexpr RoofKernels kRoofKernels[] = {
    {0, nullptr, read_plainly},
#if LOWBIT_X86
    {LOWBIT_FEATURE_AVX2, avx2::multiply_adds, avx2::read},
    {LOWBIT_FEATURE_AVX2 | LOWBIT_FEATURE_AVX_VNNI, avxvnni::multiply_adds, avx2::read},
    {LOWBIT_FEATURE_AVX2 | LOWBIT_FEATURE_AVX512_VNNI, avx512vnni::multiply_adds, avx512vnni::read},
    {LOWBIT_FEATURE_AVX2 | LOWBIT_FEATURE_AVX512_VNNI | LOWBIT_FEATURE_AMX_INT8, amx::multiply_adds, avx512vnni::read},
#elif LOWBIT_ARM
    {LOWBIT_FEATURE_DOTPROD, dotprod::multiply_adds, dotprod::read},
    {LOWBIT_FEATURE_DOTPROD | LOWBIT_FEATURE_I8MM, i8mm::multiply_adds, dotprod::read},
#endif
};

// The shortest of the times that `body` takes, in ns: five, and more until 2 ms are over.
template <typename Body>
double shortest_time(Body body) {
  using Clock = std::chrono::steady_clock;
  double shortest = std::numeric_limits<double>::infinity(), all = 0;
  for (int i = 0; i < 5 || all < 2e6; ++i) {
    const auto begin = Clock::now();
    body();
    const std::chrono::duration<double, std::nano> time = Clock::now() - begin;
    shortest = std::min(shortest, time.count());
    all += time.count();
  }
  return shortest;
}

}  // namespace

std::span<const RoofKernels> roof_kernels() { return kRoofKernels; }

Floors::Floors(uint64_t features, int threads) : threads_(threads) {
  for (const RoofKernels& kernels : kRoofKernels) {
    if ((kernels.features & ~features) == 0) kernels_ = kernels;
  }
}

double Floors::least_time(double bytes, double operations) {
  const std::lock_guard lock(mutex_);
  return std::max(read_time(bytes), arithmetic_time(operations));
}

double Floors::read_time(double bytes) {
  if (bytes == 0) return 0;
  // Beyond the caches time grows with the size.
  const int64_t most = std::min<int64_t>(4 * caches().last_level, int64_t{256} << 20) / kPage;
  const auto pages = static_cast<int64_t>(std::clamp(std::round(bytes / kPage), 1.0, static_cast<double>(most)));
  const double size = static_cast<double>(pages) * kPage;
  auto known = reads_.find(pages);
  if (known == reads_.end()) {
    struct Free {
      void operator()(std::byte* memory) const { std::free(memory); }
    };
    const auto rounded = static_cast<size_t>(size);
    const std::unique_ptr<std::byte, Free> data(static_cast<std::byte*>(std::aligned_alloc(kPage, rounded)));
    if (data == nullptr) throw std::bad_alloc();
    std::memset(data.get(), 0x5a, rounded);
    const int64_t repeats = std::max<int64_t>(1, 64 / pages);  // more than the clock's own time
    const auto time_of = [&](int parts) {
      return shortest_time([&] {
        for (int64_t i = 0; i < repeats; ++i) {
          for_parts(parts, pages, [&](int, int64_t first, int64_t last) {
            kernels_.read(data.get() + first * kPage, static_cast<size_t>((last - first) * kPage));
          });
        }
      });
    };
    const double time = threads_ == 1 ? time_of(1) : std::min(time_of(1), time_of(threads_));
    known = reads_.emplace(pages, time / static_cast<double>(repeats)).first;
  }
  return known->second * (bytes / size);
}

double Floors::arithmetic_time(double operations) {
  if (operations == 0 || kernels_.multiply_adds == nullptr) return 0;
  if (multiply_add_ == 0) {
    constexpr int64_t kRounds = 1 << 16;  // far longer than it takes to wake threads
    const auto count = static_cast<double>(threads_ * kernels_.multiply_adds(kRounds));
    multiply_add_ = shortest_time([&] {
                      for_parts(threads_, threads_, [&](int, int64_t, int64_t) { kernels_.multiply_adds(kRounds); });
                    }) /
                    count;
  }
  return operations / 2 * multiply_add_;
}

}  // namespace lowbit::core::cpu
