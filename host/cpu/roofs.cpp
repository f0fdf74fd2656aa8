#include "cpu/roofs.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>
#include <memory>

#include "cpu/machine.h"
#include "cpu/read.h"
#include "lowbit/lowbit.h"

namespace lowbit::core::cpu {
namespace {

constexpr int64_t kPage = 4096, kMostPages = (int64_t{256} << 20) / kPage;

// Loads that every processor of the architecture has.
void read_plainly(const void* data, size_t size) {
  using Vector [[gnu::vector_size(16)]] = uint64_t;
  read_all<Vector>(data, size);
}

constexpr Roof kRoofs[] = {
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

std::span<const Roof> roofs() { return kRoofs; }

Floors::Floors(uint64_t features, int threads) : threads_(threads) {
  for (const Roof& roof : kRoofs) {
    if ((roof.features & ~features) == 0) roof_ = roof;
  }
}

double Floors::least_time(double bytes, double operations) {
  const std::lock_guard lock(mutex_);
  return std::max(read_time(bytes), arithmetic_time(operations));
}

double Floors::read_time(double bytes) {
  if (bytes == 0) return 0;
  const auto pages = static_cast<int64_t>(std::clamp(std::round(bytes / kPage), 1.0, static_cast<double>(kMostPages)));
  const double size = static_cast<double>(pages) * kPage;
  auto known = reads_.find(pages);
  if (known == reads_.end()) {
    constexpr double kBytesPerNanosecond = 10;  // of one thread, about
    const int parts = worthwhile_parts(threads_, pages, size / kBytesPerNanosecond);
    const std::unique_ptr<std::byte[]> data(new std::byte[static_cast<size_t>(size)]);
    std::memset(data.get(), 0x5a, static_cast<size_t>(size));
    const int64_t repeats = std::max<int64_t>(1, 64 / pages);  // more than the clock's own time
    const double time = shortest_time([&] {
      for (int64_t i = 0; i < repeats; ++i) {
        for_parts(parts, pages, [&](int, int64_t first, int64_t last) {
          roof_.read(data.get() + first * kPage, static_cast<size_t>((last - first) * kPage));
        });
      }
    });
    known = reads_.emplace(pages, time / static_cast<double>(repeats)).first;
  }
  return known->second * bytes / size;
}

double Floors::arithmetic_time(double operations) {
  if (operations == 0 || roof_.multiply_adds == nullptr) return 0;
  if (multiply_add_ == 0) {
    constexpr int64_t kRounds = 1 << 12;
    int64_t count = 0;
    multiply_add_ = shortest_time([&] { count = roof_.multiply_adds(kRounds); });
    multiply_add_ /= static_cast<double>(count);
  }
  const double of_one_thread = operations / 2 * multiply_add_;
  return of_one_thread / worthwhile_parts(threads_, threads_, of_one_thread);
}

}  // namespace lowbit::core::cpu
