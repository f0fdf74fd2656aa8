// int8 x int8 -> int32 by cublasLtMatmul: the algorithm that its heuristics put first, with a workspace of 64 MB. It
// writes as many bytes as lowbit does, but leaves the scales to a second kernel.
#include "cublaslt.h"

#include <cublasLt.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <stdexcept>

#include "../projection.h"

namespace lowbit::bench {
namespace {

constexpr size_t kWorkspace = size_t{64} << 20;
// The regular layout wants whole fours, sm_120 of rows too, and some devices whole warps' tiles.
constexpr int64_t kRowMultiple = 16;

struct Symbol {
  void* address;
  template <typename Function>
  operator Function*() const {
    return reinterpret_cast<Function*>(address);
  }
};

class Library {
 public:
  static Library& get() {
    static Library library;
    return library;
  }
  explicit operator bool() const { return library_ != nullptr; }

 private:
  static void* open() {
    for (const char* name : {"libcublasLt.so.13", "libcublasLt.so.12"}) {
      if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return library;
    }
    return nullptr;
  }
  Symbol symbol(const char* name) const { return {library_ == nullptr ? nullptr : dlsym(library_, name)}; }

  void* library_ = open();

 public:
  decltype(&cublasLtGetStatusName) status_name = symbol("cublasLtGetStatusName");
  decltype(&cublasLtCreate) create = symbol("cublasLtCreate");
  decltype(&cublasLtDestroy) destroy = symbol("cublasLtDestroy");
  decltype(&cublasLtMatmulDescCreate) desc_create = symbol("cublasLtMatmulDescCreate");
  decltype(&cublasLtMatmulDescDestroy) desc_destroy = symbol("cublasLtMatmulDescDestroy");
  decltype(&cublasLtMatmulDescSetAttribute) desc_set = symbol("cublasLtMatmulDescSetAttribute");
  decltype(&cublasLtMatrixLayoutCreate) layout_create = symbol("cublasLtMatrixLayoutCreate");
  decltype(&cublasLtMatrixLayoutDestroy) layout_destroy = symbol("cublasLtMatrixLayoutDestroy");
  decltype(&cublasLtMatmulPreferenceCreate) preference_create = symbol("cublasLtMatmulPreferenceCreate");
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy = symbol("cublasLtMatmulPreferenceDestroy");
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set = symbol("cublasLtMatmulPreferenceSetAttribute");
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic = symbol("cublasLtMatmulAlgoGetHeuristic");
  decltype(&cublasLtMatmul) matmul = symbol("cublasLtMatmul");

  void check(cublasStatus_t status) const {
    if (status != CUBLAS_STATUS_SUCCESS) throw std::runtime_error(status_name(status));
  }
};

using Layout = std::shared_ptr<cublasLtMatrixLayoutOpaque_t>;

Layout make_layout(cudaDataType type, int64_t rows, int64_t columns) {
  const Library& lt = Library::get();
  cublasLtMatrixLayout_t layout = nullptr;
  lt.check(lt.layout_create(&layout, type, static_cast<uint64_t>(rows), static_cast<uint64_t>(columns), rows));
  return {layout, lt.layout_destroy};
}

// One product of all tokens, in cuBLAS's column order: output [N, M] = weights [K, N] transposed times values [K, M].
class Product {
 public:
  explicit Product(const Projection& p)
      : p_(p),
        M_((p.shape().tokens() + kRowMultiple - 1) / kRowMultiple * kRowMultiple),
        weights_(make_layout(CUDA_R_8I, p.shape().K, p.shape().N)),
        values_(make_layout(CUDA_R_8I, p.shape().K, M_)),
        output_(make_layout(CUDA_R_32I, p.shape().N, M_)),
        workspace_(p.bench().gpu(), kWorkspace) {
    cublasLtHandle_t handle = nullptr;
    lt_.check(lt_.create(&handle));
    handle_ = {handle, lt_.destroy};
    cublasLtMatmulDesc_t desc = nullptr;
    lt_.check(lt_.desc_create(&desc, CUBLAS_COMPUTE_32I, CUDA_R_32I));
    desc_ = {desc, lt_.desc_destroy};
    const cublasOperation_t transposed = CUBLAS_OP_T;
    lt_.check(lt_.desc_set(desc, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof(transposed)));
    choose_algorithm();
    make_operands();
  }

  void enqueue(int copy) const {
    const int one = 1, zero = 0;
    const Set& set = sets_[static_cast<size_t>(copy)];
    lt_.check(lt_.matmul(handle_.get(), desc_.get(), &one, set.weights.data(), weights_.get(), set.values.data(),
                         values_.get(), &zero, set.output.data(), output_.get(), set.output.data(), output_.get(),
                         &algorithm_, workspace_.data(), kWorkspace, p_.bench().native()));
  }

  // As Projection::outputs_of(): the sums of the first and of the last token, scaled as lowbit does.
  std::vector<float> outputs_of(int copy) const {
    const int64_t N = p_.shape().N;
    std::vector<float> outputs;
    for (int64_t token : {int64_t{0}, p_.shape().tokens() - 1}) {
      const auto sums = p_.bench().download<int32_t>(sets_[static_cast<size_t>(copy)].output, token * N, N);
      for (size_t n = 0; n < sums.size(); ++n) {
        const float scale = p_.scales()[static_cast<size_t>(token)] * p_.weights().scales()[n];
        outputs.push_back(static_cast<float>(sums[n]) * scale);
      }
    }
    return outputs;
  }

  std::string label() const { return M_ == p_.shape().tokens() ? "cublasLt" : fmt::format("cublasLt, {} rows", M_); }

 private:
  struct Set {
    Buffer weights, values, output;
  };

  void choose_algorithm() {
    cublasLtMatmulPreference_t made = nullptr;
    lt_.check(lt_.preference_create(&made));
    const std::shared_ptr<cublasLtMatmulPreferenceOpaque_t> preference(made, lt_.preference_destroy);
    lt_.check(lt_.preference_set(made, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &kWorkspace, sizeof(kWorkspace)));
    cublasLtMatmulHeuristicResult_t best{};
    int found = 0;
    lt_.check(lt_.heuristic(handle_.get(), desc_.get(), weights_.get(), values_.get(), output_.get(), output_.get(),
                            made, 1, &best, &found));
    if (found == 0) throw std::runtime_error("cublasLt has no algorithm for this shape");
    algorithm_ = best.algo;
  }

  void make_operands() {
    const int64_t K = p_.shape().K, N = p_.shape().N;
    std::vector<uint8_t> weights(p_.weights().codes().size()), values = p_.codes();  // [N, K], [M, K]
    for (int64_t k = 0, from = 0; k < K; ++k) {
      for (int64_t n = 0; n < N; ++n, ++from) {
        weights[static_cast<size_t>(n * K + k)] = p_.weights().codes()[static_cast<size_t>(from)];
      }
    }
    values.resize(static_cast<size_t>(M_ * K));
    for (int copy = 0; copy < p_.copies(); ++copy) {
      sets_.push_back({p_.bench().upload(weights), p_.bench().upload(values),
                       Buffer(p_.bench().gpu(), static_cast<uint64_t>(M_ * N) * sizeof(int32_t))});
    }
  }

  const Projection& p_;
  const Library& lt_ = Library::get();
  int64_t M_;
  Layout weights_, values_, output_;
  Buffer workspace_;
  std::shared_ptr<cublasLtContext> handle_;
  std::shared_ptr<cublasLtMatmulDescOpaque_t> desc_;
  cublasLtMatmulAlgo_t algorithm_{};
  std::vector<Set> sets_;
};

}  // namespace

const std::string& why_no_cublaslt() {
  static const std::string reason = Library::get() ? "" : "neither libcublasLt.so.13 nor .12 can be loaded";
  return reason;
}

Subject make_cublaslt(std::shared_ptr<Projection> projection) {
  const Projection& p = *projection;
  const auto product = std::make_shared<Product>(p);
  for (int copy = 0; copy < p.copies(); ++copy) {
    product->enqueue(copy);
    p.verify(product->outputs_of(copy));
  }
  return {.label = product->label(),
          .bytes = p.shape().bytes(),
          .operations = p.shape().operations(),
          .copies = p.copies(),
          .call = [projection, product](int copy) { product->enqueue(copy); }};
}

}  // namespace lowbit::bench
