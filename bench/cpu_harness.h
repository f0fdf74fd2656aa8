// What every benchmark of the cpu backend shares: its devices, fair timing, and the way into the report.
//
// A benchmark is named <work>/<operation>/<formats>/<shape>/<isa>_t<threads>/<who>. It verifies before it times: a
// subject is made by a function that throws where the results are not those of the reference, bit for bit, and the
// program then fails.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cpu/roofs.h"
#include "lowbit/lowbit.hpp"
#include "subject.h"

namespace benchmark {
class State;
}

namespace lowbit::bench {

// A device of one instruction set and number of threads.
struct Contestant {
  std::string name;                    // "avx2_t1"
  const core::cpu::RoofKernels* roof;  // of its instruction set
  int threads;
  Device device;
  Stream stream;
};

enum class Quantity { bytes, operations };

// The contender of the same group that shows how many of them a second there can be.
struct Roof {
  size_t contender;
  Quantity quantity;
};

// Contenders that are compared. They take turns: a round times each once, so what else the machine does hits all alike.
// A group is made and measured as a whole when the first of its benchmarks runs.
class Group {
 public:
  explicit Group(bool is_smoke) : is_smoke_(is_smoke) {}
  // Returns its index.
  size_t add(std::string name, std::function<Subject()> make, std::optional<Roof> roof = {});

  // For the one that owns the benchmarks.
  size_t size() const { return contenders_.size(); }
  const std::string& name(size_t contender) const { return contenders_[contender].name; }
  int rounds() const;
  // Reports the next round of a contender. Returns false where it failed.
  bool report(size_t contender, benchmark::State& state);

 private:
  struct Contender {
    std::string name;
    std::function<Subject()> make;
    std::optional<Roof> roof;
    Subject subject;
    int calls = 1;                // a round
    std::vector<double> seconds;  // a call, by round
    size_t reported = 0;
    std::string error;
  };
  void measure();
  double seconds(const Contender& contender);  // of a round
  static double amount(const Contender& contender, Quantity quantity);

  bool is_smoke_, is_measured_ = false;
  int copy_ = 0;  // the next call's: set after set, whoever calls
  std::vector<Contender> contenders_;
};

class Bench {
 public:
  // `is_smoke`: few calls on small shapes, to show that everything works and not how fast.
  explicit Bench(bool is_smoke);

  std::shared_ptr<Group> make_group() const { return std::make_shared<Group>(is_smoke_); }
  // Registers its benchmarks.
  void add(std::shared_ptr<Group> group);

  // One a set that this processor has, worst first.
  std::span<const Contestant> one_thread() const { return one_thread_; }
  std::span<const Contestant> two_threads() const { return two_threads_; }
  const Device& reference() const { return reference_; }
  const Stream& reference_stream() const { return reference_stream_; }

  // An axis of a shape in the tables: itself, or a short one in a smoke test.
  int64_t axis(int64_t length) const {
    return is_smoke_ ? std::max(std::min<int64_t>(length, 72), length / 512) : length;
  }
  // Sets of operands that exceed eight times the last cache together.
  int copies_of(double bytes) const;

  bool has_failed() const { return has_failed_; }

 private:
  bool is_smoke_, has_failed_ = false;
  std::vector<Contestant> one_thread_, two_threads_;
  Device reference_;
  Stream reference_stream_;
  double rotated_ = 0;  // bytes
};

template <typename T>
Buffer upload(const Contestant& to, const std::vector<T>& host) {
  Buffer buffer(to.device, host.size() * sizeof(T));
  to.stream.upload(buffer, host);
  return buffer;
}

// Made when it is first asked for; it lives as long as those who may ask, which are the contenders yet to be made.
template <typename Make>
auto shared(Make make) {
  using T = decltype(make());
  return [make, made = std::make_shared<std::shared_ptr<T>>()] {
    if (*made == nullptr) *made = std::make_shared<T>(make());
    return *made;
  };
}

// The tables of benchmarks.
void add_many_rows(Bench& bench);
void add_few_rows(Bench& bench);
void add_sparse_tail(Bench& bench);
void add_streaming(Bench& bench);

}  // namespace lowbit::bench
