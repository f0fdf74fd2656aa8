// Projections one output a thread, in the order of their definition: the answer of last resort, for sums of any depth
// and for float activations. Bound by its loads: every weight is read M times, every activation N times, caches
// permitting.
//
// Codes are summed in 64-bit integers, floats in float64 and in the reference's order: so they too give its bits,
// though only `bounded` is promised.
#include "kernels.h"
#include "launch.h"
#include "projection.h"

namespace lowbit::core::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kMostRows = 65535;  // of a grid

struct WeightCodes {
  const uint8_t* packed;
  lowbit_format format;
  WeightShape shape;

  __device__ int operator()(int64_t h, int64_t k, int64_t n) const {
    return packed_code(packed, format, panel32_index(format, shape, h, k, n));
  }
};

__global__ void __launch_bounds__(kThreads)
    scalar(const Problem p, const WeightCodes code, const lowbit_format format) {
  const int n = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (n >= p.N) return;
  for (int row = static_cast<int>(blockIdx.y); row < p.M * p.Z; row += static_cast<int>(gridDim.y)) {
    const int m = row / p.Z, z = row % p.Z;
    int64_t codes = 0;
    double floats = 0;
    for (int s = 0; s < p.S; ++s) {
      const uint32_t* a = input_row(p, m, z) + s * p.segment_values;
      for (int k = 0; k < p.K; ++k) {
        const int w = code(z + s, k, n);
        if (format == LOWBIT_F32) {
          floats += static_cast<double>(__uint_as_float(a[k])) * w;  // the product is exact
        } else {
          const auto byte = static_cast<uint8_t>(a[k / 4] >> 8 * (k % 4));
          codes += (format == LOWBIT_UINT8 ? byte : static_cast<int8_t>(byte)) * w;
        }
      }
    }
    const float sum = format == LOWBIT_F32 ? __double2float_rn(floats) : __ll2float_rn(codes);
    output_row(p, m, z)[n] = scaled(p, sum, input_scale(p, m, z), weight_scale(p, z, n));
  }
}

}  // namespace

template <typename Operation>
Status project_scalar(Stream& stream, const Operation& op) {
  Problem p{};
  LOWBIT_TRY(make_problem(op, &p));
  const WeightCodes codes{p.weights, op.weight->format(), op.weight->shape()};
  const auto columns = static_cast<unsigned>(ceil_div(p.N, kThreads));
  const auto rows = static_cast<unsigned>(std::min(p.M * p.Z, kMostRows));
  return launch<scalar>(stream, {dim3(columns, rows), kThreads}, p, codes, op.input.format);
}

template Status project_scalar(Stream&, const LowrankProjection&);
template Status project_scalar(Stream&, const DecoderTail&);

}  // namespace lowbit::core::cuda
