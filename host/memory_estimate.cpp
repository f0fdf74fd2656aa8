#include <algorithm>
#include <initializer_list>
#include <utility>

#include "activations.h"
#include "plan.h"
#include "weight.h"

namespace lowbit::core {
namespace {

// Counts and bytes; one that does not fit stays kTooMany.
constexpr uint64_t kTooMany = uint64_t{1} << 62;

uint64_t product(std::initializer_list<uint64_t> factors) {
  uint64_t result = 1;
  for (uint64_t factor : factors) {
    if (__builtin_mul_overflow(result, factor, &result) || result >= kTooMany) return kTooMany;
  }
  return result;
}

uint64_t sum(std::initializer_list<uint64_t> terms) {
  uint64_t result = 0;
  for (uint64_t term : terms) result = std::min(kTooMany, result + std::min(kTooMany, term));
  return result;
}

Status read_model(const Validator& check, const lowbit_model* from, lowbit_model* to) {
  LOWBIT_TRY(read_struct(check, "model", from, to));
  const std::pair<const char*, int64_t> sizes[] = {
      {"layers", to->layers},         {"embedding", to->embedding}, {"heads", to->heads},  {"latent", to->latent},
      {"vocabulary", to->vocabulary}, {"batch", to->batch},         {"tokens", to->tokens}};
  for (const auto& [name, size] : sizes) {
    if (size < 1) return check.fail("model.{} is {}, it must be at least 1", name, size);
  }
  if (!weight_count(to->heads, to->latent, to->embedding)) {
    return check.fail("model.heads x latent x embedding is {} x {} x {}, the product may be at most 2^48", to->heads,
                      to->latent, to->embedding);
  }
  LOWBIT_TRY(check.member("model.rho", to->rho, {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY, LOWBIT_F32}));
  return check.member("model.weight_group", to->weight_group, {LOWBIT_PER_TENSOR, LOWBIT_PER_CHANNEL});
}

// The model's sizes by their letters in lowbit.h.
struct Sizes {
  explicit Sizes(const lowbit_model& m)
      : layers(static_cast<uint64_t>(m.layers)),
        D(static_cast<uint64_t>(m.embedding)),
        H(static_cast<uint64_t>(m.heads)),
        N(static_cast<uint64_t>(m.latent)),
        V(static_cast<uint64_t>(m.vocabulary)),
        B(static_cast<uint64_t>(m.batch)),
        T(static_cast<uint64_t>(m.tokens)) {}
  uint64_t layers, D, H, N, V, B, T;
};

uint64_t master_weights(const Sizes& s, const lowbit_model& model, const lowbit_plan_config& config) {
  uint64_t bytes = product({4, 2, s.V, s.D});
  for (const Module& module : modules(config)) {
    if (model.training != 0 || !module.is_packed) bytes = sum({bytes, product({4, s.H, s.N, s.D})});
  }
  return bytes;
}

// As Weight::prepare() and upload() make them.
Status packed_weights(const Device& device, const lowbit_model& model, const lowbit_plan_config& config,
                      uint64_t* bytes) {
  for (const Module& module : modules(config)) {
    if (!module.is_packed) continue;
    const WeightShape shape = module.operation == LOWBIT_DECODER_TAIL
                                  ? WeightShape{model.heads, model.latent, model.embedding}
                                  : WeightShape{model.heads, model.embedding, model.latent};
    const int64_t scales = model.weight_group == LOWBIT_PER_TENSOR ? 1 : channel_count(module.operation, shape);
    Layout layout;
    LOWBIT_TRY(choose_layout(device, module.operation, module.format, &layout));
    *bytes += static_cast<uint64_t>(layout_size(layout, module.format, shape)) +
              static_cast<uint64_t>(scales) * sizeof(float);
  }
  return {};
}

uint64_t rho(const Sizes& s, lowbit_format encoding) {
  const uint64_t values = s.N * s.D;
  const uint64_t bytes = encoding == LOWBIT_F32
                             ? 4 * values
                             : lowbit_rho_packed_size(encoding, values) + 4 * lowbit_rho_block_count(values);
  return product({s.layers, s.B, s.H, bytes});
}

// As quantized() takes it from a stream's scratch. Every product fits: it is less than the bucket of activations.
uint64_t workspace(const lowbit_model& m, const lowbit_plan_config& config) {
  if (config.activations == LOWBIT_F32) return 0;
  const int64_t tokens = m.batch * m.tokens, rows = tokens * m.heads;
  uint64_t most = 0;
  for (const Module& module : modules(config)) {
    if (!module.is_packed) continue;
    const QuantizedSize size = module.bit == LOWBIT_MODULE_X   ? QuantizedSize(tokens, m.embedding, tokens)
                               : module.bit == LOWBIT_MODULE_Y ? QuantizedSize(rows, m.embedding, rows)
                                                               : QuantizedSize(rows, m.latent, tokens);
    most = std::max<uint64_t>(most, scratch_piece(size.codes) + scratch_piece(size.scales));
  }
  return most;
}

Status find_buckets(const Validator& check, const Device& device, const lowbit_model& model,
                    const lowbit_plan_config& config, lowbit_memory_estimate* found) {
  const Sizes s(model);
  const auto computed = [](uint64_t size) { return lowbit_memory_bucket{size, LOWBIT_MEMORY_COMPUTED}; };
  found->master_weights = computed(master_weights(s, model, config));
  found->packed_weights = {0, LOWBIT_MEMORY_ALLOCATED};
  LOWBIT_TRY(packed_weights(device, model, config, &found->packed_weights.size));
  found->activations = computed(sum({product({4, 2, s.B, s.T, s.D}), product({4, s.B, s.T, s.H, s.D}),
                                     product({4, 3, s.B, s.T, s.H, s.N}), product({4, s.B, s.T, s.V})}));
  found->saved_activations = computed(0);
  if (model.training != 0) {
    found->saved_activations.size =
        sum({product({4, s.layers, s.B, s.T, s.D}), product({4, s.layers, s.B, s.T, s.H, s.D}),
             product({4, s.layers, s.B, s.T, s.H, s.N})});
  }
  found->rho = {rho(s, model.rho), model.rho == LOWBIT_F32 ? LOWBIT_MEMORY_COMPUTED : LOWBIT_MEMORY_ALLOCATED};
  const std::pair<const char*, uint64_t> may_be_large[] = {{"master_weights", found->master_weights.size},
                                                           {"activations", found->activations.size},
                                                           {"saved_activations", found->saved_activations.size},
                                                           {"rho", found->rho.size}};
  for (const auto& [name, size] : may_be_large) {
    if (size == kTooMany) return check.fail("model is too large: its {} may be less than 2^62 bytes", name);
  }
  found->workspace = {workspace(model, config),
                      device.backend() == Backend::reference ? LOWBIT_MEMORY_ALLOCATED : LOWBIT_MEMORY_AT_LEAST};
  return {};
}

}  // namespace
}  // namespace lowbit::core

using namespace lowbit::core;

lowbit_status lowbit_estimate_memory(const lowbit_device* device, const lowbit_model* model,
                                     const lowbit_plan_config* config, lowbit_memory_estimate* estimate) {
  return boundary([&]() -> Status {
    const Validator check("estimate_memory");
    if (device == nullptr) return check.fail("device is NULL");
    lowbit_model m{};
    LOWBIT_TRY(read_model(check, model, &m));
    lowbit_plan_config c{};
    LOWBIT_TRY(read_config(check, config, &c));
    LOWBIT_TRY(check_struct(check, "estimate", estimate));
    lowbit_memory_estimate found{};
    LOWBIT_TRY(find_buckets(check, *device->device, m, c, &found));
    write_struct(found, estimate);
    return {};
  });
}
