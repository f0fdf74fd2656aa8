// One to 32 rows, where reading the weights is the roof and arithmetic comes to be it: by one thread, beside OpenBLAS's
// floats for one row.
#include "cpu_projection.h"
#include "cpu_roofs.h"
#include "peers/openblas.h"

namespace lowbit::bench {
namespace {

constexpr lowbit_format kFormats[] = {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY};
constexpr int64_t kMostRows = 32;

}  // namespace

void add_few_rows(Bench& bench) {
  ProjectionShape shape{.T = kMostRows, .K = bench.axis(1024), .N = bench.axis(32768)};
  std::vector<SharedProjection> projections;
  for (lowbit_format format : kFormats) {
    shape.weights = format;
    projections.push_back(shared([=, &bench] { return Projection(bench, shape, 1); }));
  }
  for (const Contestant& contestant : bench.one_thread()) {
    const auto group = bench.make_group();
    shape.weights = LOWBIT_INT8, shape.T = 1;
    const auto int8_bytes = static_cast<double>(shape.weight_bytes());
    const std::string name = "few_rows/" + shape.name() + "/" + contestant.name;
    const size_t read = group->add(name + "/read", [=, &bench, &contestant, bytes = shape.bytes()] {
      return make_read(contestant, bytes, bench.copies_of(int8_bytes));
    });
    if (why_no_openblas().empty()) {
      group->add(name + "/openblas", [=, &bench, projection = projections[0]] {
        return make_sgemv(projection(), bench.copies_of(sizeof(float) * int8_bytes));
      });
    }
    std::vector<SharedWeights> weights;
    for (size_t i = 0; i < projections.size(); ++i) {
      shape.weights = kFormats[i];
      const int copies = bench.copies_of(static_cast<double>(shape.weight_bytes()));
      weights.push_back(share_weights(contestant, projections[i], copies));
    }
    for (int64_t rows = 1; rows <= kMostRows; ++rows) {
      for (size_t i = 0; i < projections.size(); ++i) {
        shape.weights = kFormats[i], shape.T = rows;
        group->add("few_rows/" + shape.name() + "/" + contestant.name + "/lowbit",
                   lowbit_subject(contestant, projections[i], weights[i], rows), Roof{read, Quantity::bytes});
      }
    }
    bench.add(group);
  }
}

}  // namespace lowbit::bench
