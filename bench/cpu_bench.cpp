// Measures every operation of the cpu backend beside its peers and the machine's roofs: `./run bench`. Google
// Benchmark's flags choose what runs and where the figures go; `--smoke` takes small shapes, to show that everything
// works and not how fast. Exit code: 0, 1 where a result was wrong or a call failed.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstring>

#include "cpu_harness.h"
#include "peers/onednn.h"
#include "peers/openblas.h"

int main(int argc, char** argv) try {
  using namespace lowbit::bench;
  benchmark::Initialize(&argc, argv);
  const bool is_smoke = argc == 2 && std::strcmp(argv[1], "--smoke") == 0;
  if (argc > 1 + is_smoke) {
    std::fprintf(stderr, "usage: lowbit_cpu_bench [--smoke] [--benchmark_...]\n");
    return 1;
  }
  Bench bench(is_smoke);
  for (const std::string& why : {why_no_onednn(), why_no_openblas()}) {
    if (!why.empty()) std::fprintf(stderr, "lowbit_cpu_bench: %s\n", why.c_str());
  }
  add_many_rows(bench);
  add_few_rows(bench);
  add_sparse_tail(bench);
  add_streaming(bench);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::ClearRegisteredBenchmarks();  // they hold devices
  return bench.has_failed() ? 1 : 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "lowbit_cpu_bench: %s\n", error.what());
  return 1;
}
