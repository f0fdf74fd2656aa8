// Weights lie in the order that oneDNN asks for, reordered before the time starts. It leaves the scales to others.
#include "onednn.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstring>
#include <dnnl.hpp>
#include <span>
#include <stdexcept>

#include "../cpu_projection.h"

namespace lowbit::bench {
namespace {

using dnnl::memory;

// Its threads are OpenMP's, of whichever runtime it was linked with.
void use_one_thread() {
  using SetThreads = void (*)(int);
  if (void* set_threads = dlsym(RTLD_DEFAULT, "omp_set_num_threads")) reinterpret_cast<SetThreads>(set_threads)(1);
}

// [M, N] = [M, K] times [K, N]
class Product {
 public:
  Product(int64_t M, int64_t K, int64_t N, std::span<const uint8_t> values, std::span<const uint8_t> weights)
      : size_(static_cast<size_t>(M * N)) {
    const memory::desc values_desc({M, K}, memory::data_type::s8, memory::format_tag::ab);
    const memory::desc weights_desc({K, N}, memory::data_type::s8, memory::format_tag::any);
    const memory::desc sums_desc({M, N}, memory::data_type::s32, memory::format_tag::ab);
    const dnnl::matmul::primitive_desc desc({values_desc, weights_desc, sums_desc}, engine_);
    memory plain({{K, N}, memory::data_type::s8, memory::format_tag::ab}, engine_);
    std::memcpy(plain.get_data_handle(), weights.data(), weights.size());
    memory ordered(desc.weights_desc(), engine_);
    dnnl::reorder(plain, ordered).execute(stream_, plain, ordered);
    const memory input(values_desc, engine_);
    std::memcpy(input.get_data_handle(), values.data(), values.size());
    sums_ = memory(sums_desc, engine_);
    arguments_ = {{DNNL_ARG_SRC, input}, {DNNL_ARG_WEIGHTS, ordered}, {DNNL_ARG_DST, sums_}};
    matmul_ = dnnl::matmul(desc);
    name_ = desc.impl_info_str();
    stream_.wait();
  }
  void run() {
    matmul_.execute(stream_, arguments_);
    stream_.wait();
  }
  std::vector<int32_t> sums() const {
    const auto* from = static_cast<const int32_t*>(sums_.get_data_handle());
    return {from, from + size_};
  }
  const std::string& name() const { return name_; }

 private:
  size_t size_;
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  memory sums_;
  std::unordered_map<int, memory> arguments_;
  dnnl::matmul matmul_;
  std::string name_;
};

// What is wrong with its sums of the largest codes, which some instructions saturate; or "".
std::string fault_of_largest() {
  constexpr int64_t kRows = 16, kDepth = 256;
  constexpr int32_t kRight = kDepth * 127 * 127;
  const std::vector<uint8_t> largest(kRows * kDepth, 127);
  Product product(kRows, kDepth, kRows, largest, largest);
  product.run();
  for (int32_t sum : product.sums()) {
    if (sum != kRight) return fmt::format("{} products of 127 and 127 give {}, not {}", kDepth, sum, kRight);
  }
  return "";
}

}  // namespace

const std::string& why_no_onednn() {
  static const std::string reason;
  return reason;
}

Subject make_onednn(std::shared_ptr<Projection> projection) {
  use_one_thread();
  const ProjectionShape& shape = projection->shape();
  const auto product =
      std::make_shared<Product>(shape.T, shape.K, shape.N, projection->codes(), projection->weight_codes());
  product->run();
  std::string fault = fault_of_largest();
  try {
    projection->verify_sums(product->sums());
  } catch (const std::runtime_error& error) {
    fault = error.what();
  }
  return {.label = fault.empty() ? product->name() : fmt::format("wrong: {}: {}", product->name(), fault),
          .bytes = shape.bytes(),
          .operations = shape.operations(),
          .copies = 1,
          .call = [product](int) { product->run(); }};
}

}  // namespace lowbit::bench
