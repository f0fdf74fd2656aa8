// What no kernel can beat: the speed of memory, and the time of a node of a graph that does nothing.
#include "bench.h"
#include "peers/empty.h"

namespace lowbit::bench {

Subject make_copy(const Bench& bench) {
  const auto size = static_cast<uint64_t>(bench.axis(1 << 15)) << 15;
  const auto from = std::make_shared<Buffer>(bench.gpu(), size), to = std::make_shared<Buffer>(bench.gpu(), size);
  const cudaStream_t stream = bench.native();
  check(cudaMemsetAsync(from->data(), 0x5a, size, stream));
  return {
      .label = "cudaMemcpyAsync",
      .bytes = 2.0 * static_cast<double>(size),
      .operations = 0,
      .copies = 1,
      .call = [=](int) { check(cudaMemcpyAsync(to->data(), from->data(), size, cudaMemcpyDeviceToDevice, stream)); }};
}

void add_floors(Bench& bench) {
  bench.add("copy/bytes/1GiB", "copy", {Mode::graph, Mode::eager}, [&] { return make_copy(bench); });
  bench.add("launch/none/empty_kernel", "floor", {Mode::graph, Mode::eager}, [&bench]() -> Subject {
    return {.label = "empty", .bytes = 0, .operations = 0, .copies = 64, .call = [&](int) {
              launch_empty(bench.native());
            }};
  });
}

}  // namespace lowbit::bench
