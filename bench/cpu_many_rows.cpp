// Many rows, where arithmetic is the roof: by one thread, beside oneDNN's int8 and OpenBLAS's floats.
#include "cpu_projection.h"
#include "cpu_roofs.h"
#include "peers/onednn.h"
#include "peers/openblas.h"

namespace lowbit::bench {
namespace {

constexpr lowbit_format kFormats[] = {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY};
constexpr int64_t kVerified = 7;  // every so many rows; prime to every tile's height

void add(Bench& bench, ProjectionShape shape) {
  const auto group = bench.make_group();
  std::vector<size_t> roofs;
  for (const Contestant& contestant : bench.one_thread()) {
    roofs.push_back(group->add("many_rows/" + shape.name() + "/" + contestant.name + "/registers",
                               [&] { return make_registers(contestant); }));
  }
  for (lowbit_format format : kFormats) {
    shape.weights = format;
    const SharedProjection projection = shared([=, &bench] { return Projection(bench, shape, kVerified); });
    const std::string name = "many_rows/" + shape.name();
    for (size_t i = 0; i < bench.one_thread().size(); ++i) {
      const Contestant& contestant = bench.one_thread()[i];
      group->add(name + "/" + contestant.name + "/lowbit",
                 lowbit_subject(contestant, projection, share_weights(contestant, projection, 1), shape.T),
                 Roof{roofs[i], Quantity::operations});
    }
    if (format != LOWBIT_INT8) continue;
    if (why_no_onednn().empty()) group->add(name + "/any_t1/onednn", [=] { return make_onednn(projection()); });
    if (why_no_openblas().empty()) group->add(name + "/any_t1/openblas", [=] { return make_sgemm(projection()); });
  }
  bench.add(group);
}

}  // namespace

void add_many_rows(Bench& bench) {
  const int64_t M = bench.axis(1024), narrow = bench.axis(256), wide = bench.axis(2048);
  add(bench, {.T = M, .K = narrow, .N = wide});
  add(bench, {.T = M, .K = wide, .N = narrow});
  add(bench, {.operation = LOWBIT_DECODER_TAIL, .T = M, .K = wide, .N = narrow});
}

}  // namespace lowbit::bench
