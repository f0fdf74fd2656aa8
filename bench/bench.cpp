#include "bench.h"

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <optional>
#include <stdexcept>

namespace lowbit::bench {
namespace {

constexpr int kRepetitions = 7, kIterations = 3;  // the report has the median of the repetitions
constexpr int kFewestCalls = 8;                   // between two events, which cost a microsecond or two themselves

class Graph {
 public:
  Graph(cudaStream_t stream, const std::function<void()>& enqueue) {
    cudaGraph_t graph = nullptr;
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    try {
      enqueue();
    } catch (...) {
      cudaStreamEndCapture(stream, &graph);
      cudaGraphDestroy(graph);
      throw;
    }
    check(cudaStreamEndCapture(stream, &graph));
    const cudaError_t error = cudaGraphInstantiate(&exec_, graph, 0);
    cudaGraphDestroy(graph);
    check(error);
  }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  ~Graph() { cudaGraphExecDestroy(exec_); }
  void launch(cudaStream_t stream) const { check(cudaGraphLaunch(exec_, stream)); }

 private:
  cudaGraphExec_t exec_ = nullptr;
};

}  // namespace

void check(cudaError_t error) {
  if (error != cudaSuccess) throw std::runtime_error(cudaGetErrorName(error));
}

Bench::Bench(bool is_smoke)
    : is_smoke_(is_smoke),
      gpu_(Device::open({.backend = "cuda"})),
      cpu_(Device::open({.backend = "cpu"})),
      stream_(gpu_),
      cpu_stream_(cpu_) {
  gpu_.warm_up();  // the parity guard cannot run in a capture
  check(cudaGetDeviceProperties(&properties_, 0));
  check(cudaEventCreate(&start_));
  check(cudaEventCreate(&end_));
  const Subject copy = make_copy(*this);
  const auto copy_once = [&] { copy.call(0); };
  std::array<double, kRepetitions> copies;
  for (double& once : copies) once = seconds(copy_once);
  std::sort(copies.begin() + 1, copies.end());  // the first raises the clocks
  copy_speed_ = copy.bytes / copies[copies.size() / 2];
  benchmark::AddCustomContext("device", gpu_.info().name);
  benchmark::AddCustomContext("l2_bytes", std::to_string(properties_.l2CacheSize));
  benchmark::AddCustomContext("copy_bytes_per_second", fmt::format("{:.4g}", copy_speed_));
}

Bench::~Bench() {
  cudaEventDestroy(start_);
  cudaEventDestroy(end_);
}

int Bench::copies_of(double bytes) const {
  return is_smoke_ ? 2 : static_cast<int>(std::ceil(5.0 * properties_.l2CacheSize / bytes));
}

double Bench::seconds(const std::function<void()>& enqueue) const {
  check(cudaEventRecord(start_, native()));
  enqueue();
  check(cudaEventRecord(end_, native()));
  stream_.synchronize();
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, start_, end_));
  return milliseconds / 1e3;
}

void Bench::run(benchmark::State& state, Mode mode, const Subject& subject) const {
  const int rounds = is_smoke_ ? 1 : (kFewestCalls + subject.copies - 1) / subject.copies;
  const int calls = rounds * subject.copies;
  const auto call_all = [&] {
    for (int i = 0; i < calls; ++i) subject.call(i % subject.copies);
  };
  std::optional<Graph> graph;
  if (mode == Mode::graph) graph.emplace(native(), call_all);
  const auto enqueue = [&] { mode == Mode::graph ? graph->launch(native()) : call_all(); };
  seconds(enqueue);  // not counted: the graph's upload, the clocks
  for (auto _ : state) state.SetIterationTime(seconds(enqueue) / calls);

  using benchmark::Counter;
  state.SetLabel(subject.label);
  const auto rate = [&](double amount) { return Counter(amount, Counter::kIsIterationInvariantRate); };
  if (subject.bytes > 0) state.counters["bytes_per_second"] = rate(subject.bytes);
  if (subject.bytes > 0) state.counters["copy_share"] = rate(subject.bytes / copy_speed_);
  if (subject.operations > 0) state.counters["operations_per_second"] = rate(subject.operations);
}

void Bench::add(const std::string& name, const std::string& who, std::initializer_list<Mode> modes,
                std::function<Subject()> make) {
  for (Mode mode : modes) {
    const std::string full = fmt::format("{}/{}/{}", name, mode == Mode::graph ? "graph" : "eager", who);
    const auto body = [this, key = name + who, mode, make](benchmark::State& state) {
      try {
        run(state, mode, *subject_.get(key, make));
      } catch (const std::exception& error) {
        has_failed_ = true;
        state.SkipWithError(error.what());
      }
    };
    benchmark::RegisterBenchmark(full.c_str(), body)
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond)
        ->Iterations(is_smoke_ ? 1 : kIterations)
        ->Repetitions(is_smoke_ ? 1 : kRepetitions)
        ->ReportAggregatesOnly(!is_smoke_);
  }
}

}  // namespace lowbit::bench
