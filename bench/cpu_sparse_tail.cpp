// decoder_tail of one row of which most is zero, down from one without a zero: where skipping begins to pay. Rows take
// turns, as many as need all the weights together, or a call would find in a cache what the one before it left there.
#include <cmath>

#include "cpu_projection.h"
#include "cpu_roofs.h"

namespace lowbit::bench {
namespace {

constexpr double kNonzero[] = {0.01, 0.03, 0.06, 0.12, 0.25, 0.50, 1.00};
constexpr int64_t kVerified = 7;  // every so many rows

int64_t rows_of(double nonzero) { return static_cast<int64_t>(std::ceil(1 / nonzero)); }

}  // namespace

void add_sparse_tail(Bench& bench) {
  ProjectionShape shape{.operation = LOWBIT_DECODER_TAIL, .T = 1, .K = bench.axis(32768), .N = bench.axis(1024)};
  std::vector<SharedProjection> projections;
  for (double nonzero : kNonzero) {
    shape.nonzero = nonzero;
    shape.T = rows_of(nonzero);
    projections.push_back(shared([=, &bench] { return Projection(bench, shape, kVerified); }));
  }
  shape.T = 1;
  const int copies = bench.copies_of(static_cast<double>(shape.weight_bytes()));
  for (const Contestant& contestant : bench.one_thread()) {
    const auto group = bench.make_group();
    const size_t read =
        group->add("sparse_tail/" + shape.name() + "/" + contestant.name + "/read",
                   [=, &contestant, bytes = shape.bytes()] { return make_read(contestant, bytes, copies); });
    const SharedWeights weights = share_weights(contestant, projections.back(), copies);
    for (size_t i = 0; i < projections.size(); ++i) {
      shape.nonzero = kNonzero[i];
      group->add("sparse_tail/" + shape.name() + "/" + contestant.name + "/lowbit",
                 lowbit_subject(contestant, projections[i], weights, 1, rows_of(kNonzero[i])),
                 Roof{read, Quantity::bytes});
    }
    bench.add(group);
  }
}

}  // namespace lowbit::bench
