// lowrank_projection and decoder_tail: decoding, prefill, the Hatchling's shapes, and activations that are mostly zero.
#include "peers/cublaslt.h"
#include "projection.h"

namespace lowbit::bench {
namespace {

constexpr lowbit_format kFormats[] = {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY};

// Benchmarks that share what is on the GPU.
class Projections {
 public:
  explicit Projections(Bench& bench) : bench_(bench) {}

  // Beside its peers where they can compute it.
  void add(const ProjectionShape& shape) {
    const std::string name = shape.name();
    bench_.add(name, "lowbit", {Mode::graph, Mode::eager}, subject(shape, make_lowbit));
    if (shape.weights != LOWBIT_INT8) return;
    bench_.add(name, "naive", {Mode::graph}, subject(shape, make_naive));
    if (shape.H == 1 && why_no_cublaslt().empty()) {
      bench_.add(name, "cublaslt", {Mode::graph}, subject(shape, make_cublaslt));
    }
  }

 private:
  std::function<Subject()> subject(const ProjectionShape& shape,
                                   Subject (*make)(std::shared_ptr<Projection> projection)) const {
    return [weights = weights_, projection = projection_, shape, make, &bench = bench_] {
      return make(projection->get(shape.name(), [&] {
        return Projection(bench, shape, weights->get(shape.weight_name(), [&] { return Weights(bench, shape); }));
      }));
    };
  }

  Bench& bench_;
  std::shared_ptr<Latest<Weights>> weights_ = std::make_shared<Latest<Weights>>();
  std::shared_ptr<Latest<Projection>> projection_ = std::make_shared<Latest<Projection>>();
};

}  // namespace

void add_projections(Bench& bench) {
  Projections projections(bench);
  const auto axis = [&](int64_t length) { return bench.axis(length); };

  for (int64_t N : {8192, 21760}) {
    for (int64_t T : {1, 2, 4, 8, 16}) projections.add({.T = T, .K = axis(8192), .N = axis(N)});
  }
  for (lowbit_format weights : {LOWBIT_TERNARY, LOWBIT_BINARY}) {
    for (int64_t T : {1, 2, 4, 8, 16, 17, 32, 33}) {
      projections.add({.weights = weights, .T = T, .K = axis(8192), .N = axis(8192)});
    }
  }
  projections.add({.T = axis(4096), .K = axis(4096), .N = axis(16384)});
  projections.add({.T = axis(8192), .K = axis(8192), .N = axis(8192)});

  for (lowbit_format weights : kFormats) {
    projections.add({.weights = weights, .B = 8, .H = 4, .T = axis(128), .K = axis(256), .N = axis(128)});
    projections.add({.operation = LOWBIT_DECODER_TAIL,
                     .weights = weights,
                     .B = 8,
                     .Hi = 4,
                     .H = 4,
                     .T = axis(128),
                     .K = axis(128),
                     .N = axis(256)});
  }
  for (int64_t N : {256, 4096}) {
    for (double nonzero : {0.06, 1.0}) {
      projections.add({.operation = LOWBIT_DECODER_TAIL,
                       .Hi = 4,
                       .H = 4,
                       .T = 1,
                       .K = axis(8192),
                       .N = axis(N),
                       .nonzero = nonzero});
    }
  }
}

}  // namespace lowbit::bench
