#include "cpu_roofs.h"

#include <barrier>
#include <cstring>
#include <thread>

namespace lowbit::bench {
namespace {

constexpr size_t kPage = 4096;

// Threads that wait for work; the caller is one of them.
class Team {
 public:
  explicit Team(int threads) : start_(threads), end_(threads) {
    for (int i = 1; i < threads; ++i) {
      helpers_.emplace_back([this, i] {
        for (;;) {
          start_.arrive_and_wait();
          if (work_ == nullptr) return;
          work_(i);
          end_.arrive_and_wait();
        }
      });
    }
  }
  ~Team() {
    work_ = nullptr;
    start_.arrive_and_wait();
  }
  void run(std::function<void(int)> work) {
    work_ = std::move(work);
    start_.arrive_and_wait();
    work_(0);
    end_.arrive_and_wait();
  }

 private:
  std::function<void(int)> work_;
  std::barrier<> start_, end_;
  std::vector<std::jthread> helpers_;
};

// What a thread takes of whole pages.
size_t share_of(double bytes, int threads) {
  return std::max<size_t>(1, static_cast<size_t>(bytes / threads) / kPage) * kPage;
}

}  // namespace

Subject make_registers(const Contestant& contestant) {
  constexpr int64_t kRounds = 1 << 16;
  const auto multiply_adds = contestant.roof->multiply_adds;
  const auto each_call = static_cast<double>(multiply_adds(1)) * kRounds;
  return {.label = "from registers only", .bytes = 0, .operations = 2 * each_call, .copies = 1, .call = [=](int) {
            multiply_adds(kRounds);
          }};
}

Subject make_read(const Contestant& contestant, double bytes, int copies) {
  const int threads = contestant.threads;
  const size_t share = share_of(bytes, threads), size = share * static_cast<size_t>(threads);
  const auto buffers = std::make_shared<std::vector<Buffer>>();
  for (int copy = 0; copy < copies; ++copy) {
    std::memset(buffers->emplace_back(contestant.device, size).data(), 0x5a, size);
  }
  const auto team = std::make_shared<Team>(threads);
  return {.label = "plain read",
          .bytes = static_cast<double>(size),
          .operations = 0,
          .copies = copies,
          .call = [=, read = contestant.roof->read](int copy) {
            const auto* from = static_cast<const std::byte*>(buffers->at(static_cast<size_t>(copy)).data());
            team->run([=](int thread) { read(from + static_cast<size_t>(thread) * share, share); });
          }};
}

Subject make_copy(const Contestant& contestant, double bytes) {
  const int threads = contestant.threads;
  const size_t share = share_of(bytes / 2, threads), size = share * static_cast<size_t>(threads);
  const auto from = std::make_shared<Buffer>(contestant.device, size);
  const auto to = std::make_shared<Buffer>(contestant.device, size);
  std::memset(from->data(), 0x5a, size);
  std::memset(to->data(), 0, size);
  const auto team = std::make_shared<Team>(threads);
  return {.label = "memcpy", .bytes = 2.0 * static_cast<double>(size), .operations = 0, .copies = 1, .call = [=](int) {
            team->run([&](int thread) {
              const size_t first = static_cast<size_t>(thread) * share;
              std::memcpy(static_cast<std::byte*>(to->data()) + first, static_cast<std::byte*>(from->data()) + first,
                          share);
            });
          }};
}

}  // namespace lowbit::bench
