// The plain projection on a GPU, which burn_dragon's kernels are: one thread an output, one dp4a for two loads of a
// word, no shared memory. Every weight is read once a token and every activation once a column, caches permitting.
#include "../../cuda/ptx.h"
#include "../projection.h"

namespace lowbit::bench {
namespace {

constexpr unsigned kThreads = 256;

struct Args {
  const uint32_t* values;  // [B, Hi, T, P] words of four codes
  const float* value_scales;
  const uint32_t* weights;  // [H, P, N] words of four codes of a column: neighbouring threads read neighbouring words
  const float* weight_scales;
  float* output;  // [B, Ho, T, N]
  int Hi, Ho, T, P, N;
  int summed_heads;  // decoder_tail: H; else 1
};

// Grid: columns, tokens, B * Ho.
__global__ void __launch_bounds__(kThreads) naive(const Args a) {
  const int n = static_cast<int>(blockIdx.x * kThreads + threadIdx.x), t = static_cast<int>(blockIdx.y);
  const int b = static_cast<int>(blockIdx.z) / a.Ho, h = static_cast<int>(blockIdx.z) % a.Ho;
  if (n >= a.N) return;
  int sum = 0;
  for (int s = 0; s < a.summed_heads; ++s) {
    const int64_t row = (int64_t{b} * a.Hi + (a.Hi == 1 ? 0 : h + s)) * a.T + t;
    const uint32_t* values = a.values + row * a.P;
    const uint32_t* weights = a.weights + int64_t{h + s} * a.P * a.N + n;
    for (int p = 0; p < a.P; ++p) {
      sum = core::cuda::dot4<true>(weights[int64_t{p} * a.N], values[p], sum);
    }
  }
  const int64_t token = (a.summed_heads > 1 || a.Hi == 1 ? int64_t{b} : int64_t{b} * a.Hi + h) * a.T + t;
  const float scale = __fmul_rn(a.value_scales[token], a.weight_scales[int64_t{h} * a.N + n]);
  a.output[((int64_t{b} * a.Ho + h) * a.T + t) * a.N + n] = __fmul_rn(__int2float_rn(sum), scale);
}

// [H, K, N] codes as [H, K/4, N] words.
std::vector<uint8_t> words_of(const std::vector<uint8_t>& codes, const ProjectionShape& s) {
  std::vector<uint8_t> words(codes.size());
  for (int64_t k = 0, from = 0; k < s.H * s.K; ++k) {
    for (int64_t n = 0; n < s.N; ++n, ++from) {
      words[static_cast<size_t>((k / 4 * s.N + n) * 4 + k % 4)] = codes[static_cast<size_t>(from)];
    }
  }
  return words;
}

// Weights as this kernel wants them, a set for each of the projection's.
struct NaiveWeights {
  std::vector<Buffer> words;
  Buffer scales;
};

void launch(const Projection& p, const NaiveWeights& weights, int copy) {
  const ProjectionShape& s = p.shape();
  const Args args{.values = static_cast<const uint32_t*>(p.values(copy).data()),
                  .value_scales = static_cast<const float*>(p.value_scales(copy).data()),
                  .weights = static_cast<const uint32_t*>(weights.words[static_cast<size_t>(copy)].data()),
                  .weight_scales = static_cast<const float*>(weights.scales.data()),
                  .output = static_cast<float*>(p.output(copy).data()),
                  .Hi = static_cast<int>(s.Hi),
                  .Ho = static_cast<int>(s.output_heads()),
                  .T = static_cast<int>(s.T),
                  .P = static_cast<int>(s.K / 4),
                  .N = static_cast<int>(s.N),
                  .summed_heads = static_cast<int>(s.is_tail() ? s.H : 1)};
  cudaLaunchConfig_t config{};
  config.gridDim = dim3((static_cast<unsigned>(s.N) + kThreads - 1) / kThreads, static_cast<unsigned>(s.T),
                        static_cast<unsigned>(s.B * s.output_heads()));
  config.blockDim = dim3(kThreads);
  config.stream = p.bench().native();
  check(cudaLaunchKernelEx(&config, naive, args));
}

}  // namespace

Subject make_naive(std::shared_ptr<Projection> projection) {
  const Projection& p = *projection;
  const auto weights = std::make_shared<NaiveWeights>(NaiveWeights{{}, p.bench().upload(p.weights().scales())});
  const std::vector<uint8_t> words = words_of(p.weights().codes(), p.shape());
  for (int copy = 0; copy < p.copies(); ++copy) {
    weights->words.push_back(p.bench().upload(words));
    launch(p, *weights, copy);
    p.verify(p.outputs_of(copy));
  }
  return {.label = "naive",
          .bytes = p.shape().bytes(),
          .operations = p.shape().operations(),
          .copies = p.copies(),
          .call = [=](int copy) { launch(*projection, *weights, copy); }};
}

}  // namespace lowbit::bench
