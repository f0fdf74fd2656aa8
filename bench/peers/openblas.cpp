// The floats are the codes: sums of their products stay below 2^24 here, so floats too must get them right.
#include "openblas.h"

#include <cblas.h>

#include "../cpu_projection.h"

namespace lowbit::bench {
namespace {

std::vector<float> floats_of(const std::vector<uint8_t>& codes) {
  std::vector<float> floats;
  floats.reserve(codes.size());
  for (uint8_t code : codes) floats.push_back(static_cast<float>(static_cast<int8_t>(code)));
  return floats;
}

double float_bytes(const ProjectionShape& s) {
  return sizeof(float) * static_cast<double>(s.T * s.K + s.K * s.N + s.T * s.N);
}

}  // namespace

const std::string& why_no_openblas() {
  static const std::string reason;
  return reason;
}

Subject make_sgemm(std::shared_ptr<Projection> projection) {
  struct Operands {
    std::vector<float> values, weights, sums;
  };
  openblas_set_num_threads(1);
  const ProjectionShape s = projection->shape();
  const auto o =
      std::make_shared<Operands>(Operands{floats_of(projection->codes()), floats_of(projection->weight_codes()),
                                          std::vector<float>(static_cast<size_t>(s.T * s.N))});
  const auto M = static_cast<blasint>(s.T), K = static_cast<blasint>(s.K), N = static_cast<blasint>(s.N);
  const auto call = [=](int) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, M, N, K, 1, o->values.data(), K, o->weights.data(), N, 0,
                o->sums.data(), N);
  };
  call(0);
  projection->verify_sums(o->sums);
  return {.label = openblas_get_corename(),
          .bytes = float_bytes(s),
          .operations = s.operations(),
          .copies = 1,
          .call = call};
}

Subject make_sgemv(std::shared_ptr<Projection> projection, int copies) {
  struct Operands {
    std::vector<float> values;
    std::vector<std::vector<float>> weights;  // [N, K], which it reads at least as fast as [K, N]
    std::vector<float> sums;
  };
  openblas_set_num_threads(1);
  ProjectionShape s = projection->shape();
  s.T = 1;
  const auto K = static_cast<size_t>(s.K), N = static_cast<size_t>(s.N);
  std::vector<float> turned(K * N);
  for (size_t k = 0, from = 0; k < K; ++k) {
    for (size_t n = 0; n < N; ++n, ++from) {
      turned[n * K + k] = static_cast<float>(static_cast<int8_t>(projection->weight_codes()[from]));
    }
  }
  const auto o = std::make_shared<Operands>(
      Operands{floats_of(projection->codes()), std::vector<std::vector<float>>(static_cast<size_t>(copies), turned),
               std::vector<float>(N)});
  const auto call = [=](int copy) {
    const float* weights = o->weights[static_cast<size_t>(copy)].data();
    cblas_sgemv(CblasRowMajor, CblasNoTrans, static_cast<blasint>(N), static_cast<blasint>(K), 1, weights,
                static_cast<blasint>(K), o->values.data(), 1, 0, o->sums.data(), 1);
  };
  call(0);
  projection->verify_sums(o->sums);
  return {.label = openblas_get_corename(),
          .bytes = float_bytes(s),
          .operations = s.operations(),
          .copies = copies,
          .call = call};
}

}  // namespace lowbit::bench
