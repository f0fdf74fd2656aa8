#include "cpu_harness.h"

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <stdexcept>

namespace lowbit::bench {
namespace {

constexpr int kRounds = 9;              // the report has their median
constexpr double kRoundSeconds = 0.02;  // or one call
constexpr double kRotation = 8;         // last caches
#ifdef __clang__
constexpr const char* kCompiler = __VERSION__;
#else
constexpr const char* kCompiler = "gcc " __VERSION__;
#endif

// One for each set that this processor has and LOWBIT_CPU_ISA allows.
std::vector<Contestant> open_devices(int threads) {
  setenv("LOWBIT_THREADS", std::to_string(threads).c_str(), 1);  // read when a device is opened
  std::vector<Contestant> contestants;
  for (const core::cpu::RoofKernels& roof : core::cpu::roof_kernels()) {
    if (roof.features == 0) continue;
    try {
      Device device = Device::open({.backend = "cpu", .disabled_features = ~roof.features});
      const lowbit_device_info info = device.info();
      if (info.features != roof.features) continue;
      device.warm_up();
      Stream stream(device);
      contestants.push_back(
          {fmt::format("{}_t{}", info.isa, threads), &roof, threads, std::move(device), std::move(stream)});
    } catch (const Error& error) {
      if (error.status() != LOWBIT_UNAVAILABLE) throw;
    }
  }
  return contestants;
}

double last_cache() {
  double size = 0;
  for (const auto& cache : benchmark::CPUInfo::Get().caches) size = std::max<double>(size, cache.size);
  return size > 0 ? size : 64 << 20;
}

}  // namespace

// ---- Group -----------------------------------------------------------------------------------------------------------

size_t Group::add(std::string name, std::function<Subject()> make, std::optional<Roof> roof) {
  contenders_.push_back({.name = std::move(name), .make = std::move(make), .roof = roof, .subject = {}});
  return contenders_.size() - 1;
}

int Group::rounds() const { return is_smoke_ ? 1 : kRounds; }

double Group::amount(const Contender& contender, Quantity quantity) {
  return quantity == Quantity::bytes ? contender.subject.bytes : contender.subject.operations;
}

double Group::seconds(const Contender& contender) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < contender.calls; ++i) contender.subject.call(copy_++ % contender.subject.copies);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void Group::measure() {
  is_measured_ = true;
  for (Contender& contender : contenders_) {
    try {
      contender.subject = contender.make();
      const double once = seconds(contender);
      if (!is_smoke_) contender.calls = std::max(1, static_cast<int>(std::ceil(kRoundSeconds / once)));
    } catch (const std::exception& error) {
      contender.error = error.what();
    }
  }
  for (int round = 0; round < rounds(); ++round) {
    for (Contender& contender : contenders_) {
      if (contender.error.empty()) contender.seconds.push_back(seconds(contender) / contender.calls);
    }
  }
  for (Contender& contender : contenders_) contender.make = nullptr, contender.subject.call = nullptr;
}

bool Group::report(size_t index, benchmark::State& state) {
  if (!is_measured_) measure();
  Contender& contender = contenders_[index];
  if (!contender.error.empty()) {
    state.SkipWithError(contender.error.c_str());
    return false;
  }
  const size_t round = contender.reported++ % contender.seconds.size();
  for (auto _ : state) state.SetIterationTime(contender.seconds[round]);

  using benchmark::Counter;
  const auto rate = [](double amount) { return Counter(amount, Counter::kIsIterationInvariantRate); };
  const Subject& subject = contender.subject;
  state.SetLabel(subject.label);
  if (subject.bytes > 0) state.counters["bytes_per_second"] = rate(subject.bytes);
  if (subject.operations > 0) state.counters["operations_per_second"] = rate(subject.operations);
  if (subject.bytes > 0 && subject.operations > 0) {
    state.counters["operations_per_byte"] = subject.operations / subject.bytes;
  }
  if (!contender.roof) return true;
  const Contender& roof = contenders_[contender.roof->contender];
  const Quantity quantity = contender.roof->quantity;
  if (roof.error.empty()) {  // of the same round
    state.counters["roof_share"] =
        amount(contender, quantity) / contender.seconds[round] / (amount(roof, quantity) / roof.seconds[round]);
  }
  return true;
}

// ---- Bench -----------------------------------------------------------------------------------------------------------

Bench::Bench(bool is_smoke)
    : is_smoke_(is_smoke),
      one_thread_(open_devices(1)),
      two_threads_(open_devices(2)),
      reference_(Device::open({.backend = "reference"})),
      reference_stream_(reference_),
      rotated_(kRotation * last_cache()) {
  if (one_thread_.empty()) throw std::runtime_error("this processor has none of the instruction sets with a roof");
  std::string names;
  for (const Contestant& contestant : one_thread_) names += fmt::format("{} ", contestant.device.info().isa);
  benchmark::AddCustomContext("processor", one_thread_.front().device.info().name);
  benchmark::AddCustomContext("instruction_sets", names.substr(0, names.size() - 1));
  benchmark::AddCustomContext("compiler", kCompiler);
  benchmark::AddCustomContext("rotated_bytes", fmt::format("{:.0f}", rotated_));
}

int Bench::copies_of(double bytes) const { return is_smoke_ ? 2 : static_cast<int>(std::ceil(rotated_ / bytes)); }

void Bench::add(std::shared_ptr<Group> group) {
  for (size_t i = 0; i < group->size(); ++i) {
    const auto body = [this, group, i](benchmark::State& state) { has_failed_ |= !group->report(i, state); };
    benchmark::RegisterBenchmark(group->name(i).c_str(), body)
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond)
        ->Iterations(1)
        ->Repetitions(group->rounds())
        ->ReportAggregatesOnly(!is_smoke_);
  }
}

}  // namespace lowbit::bench
