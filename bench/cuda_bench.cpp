// Measures every operation of the cuda backend beside its peers: `./run gpu`. Google Benchmark's flags choose what runs
// and where the figures go; `--smoke` takes small shapes, to show that everything works and not how fast.
// Exit code: 0, 1 where a result was wrong or a call failed, 2 where there is no GPU.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstring>

#include "bench.h"
#include "peers/cublaslt.h"

int main(int argc, char** argv) try {
  using namespace lowbit::bench;
  benchmark::Initialize(&argc, argv);
  const bool is_smoke = argc == 2 && std::strcmp(argv[1], "--smoke") == 0;
  if (argc > 1 + is_smoke) {
    std::fprintf(stderr, "usage: lowbit_cuda_bench [--smoke] [--benchmark_...]\n");
    return 1;
  }
  Bench bench(is_smoke);
  if (!why_no_cublaslt().empty()) std::fprintf(stderr, "without cublaslt: %s\n", why_no_cublaslt().c_str());
  add_floors(bench);
  add_projections(bench);
  add_quantize_pack(bench);
  add_rho(bench);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::ClearRegisteredBenchmarks();  // they hold device memory
  return bench.has_failed() ? 1 : 0;
} catch (const std::exception& error) {
  const auto* of_lowbit = dynamic_cast<const lowbit::Error*>(&error);
  std::fprintf(stderr, "lowbit_cuda_bench: %s\n", error.what());
  return of_lowbit != nullptr && of_lowbit->status() == LOWBIT_UNAVAILABLE ? 2 : 1;
}
