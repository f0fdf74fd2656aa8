#include "model.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "formats/safetensors.h"
#include "names.h"

namespace bdh {
namespace {

using lowbit::formats::FileError;
using lowbit::formats::Safetensors;
using lowbit::formats::SafetensorsEntry;

constexpr const char* kPackedVersion = "1";
constexpr int64_t kMaxLayers = 1024;
constexpr uint64_t kMaxAxis = 1 << 20;  // so that no product of three overflows

[[noreturn]] void fault(const Safetensors& file, const std::string& what) {
  throw FileError(file.label() + ": " + what);
}

std::string metadata(const Safetensors& file, const std::string& key) {
  const auto entry = file.metadata().find(key);
  if (entry == file.metadata().end()) fault(file, fmt::format("the metadata lacks '{}'", key));
  return entry->second;
}

// A whole number from 1 to `limit`.
int64_t metadata_number(const Safetensors& file, const std::string& key, int64_t limit) {
  const std::string text = metadata(file, key);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > limit) {
    fault(file, fmt::format("metadata '{}' is {}, it must be a whole number from 1 to {}", key,
                            lowbit::formats::quote(text), limit));
  }
  return value;
}

void expect_shape(const Safetensors& file, const std::string& name, const std::vector<int64_t>& shape,
                  const std::vector<int64_t>& expected, const char* meaning) {
  if (shape != expected) {
    fault(file, fmt::format("tensor '{}' has shape {}, it must be {} ({})", name, lowbit::formats::shape_text(shape),
                            lowbit::formats::shape_text(expected), meaning));
  }
}

// An F32 tensor's values, which must be finite.
std::vector<float> finite_floats(const Safetensors& file, const SafetensorsEntry& tensor) {
  std::vector<float> values = to_floats(tensor);
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i]))
      fault(file, fmt::format("tensor '{}' holds {} at index {}", tensor.name, values[i], i));
  }
  return values;
}

// The logical shapes of the packed tensors: metadata lowbit.shape, a JSON object of name -> shape.
std::vector<int64_t> packed_shape(const Safetensors& file, const std::string& name, size_t rank) {
  const std::string text = metadata(file, "lowbit.shape");
  const auto shapes = nlohmann::json::parse(text, nullptr, false);
  const auto bad = [&] {
    fault(file,
          fmt::format("metadata 'lowbit.shape' must hold {} sizes from 1 to {} for tensor '{}'", rank, kMaxAxis, name));
  };
  if (!shapes.is_object() || !shapes.contains(name) || !shapes[name].is_array() || shapes[name].size() != rank) bad();
  std::vector<int64_t> shape;
  for (const auto& axis : shapes[name]) {
    if (!axis.is_number_unsigned() || axis.get<uint64_t>() < 1 || axis.get<uint64_t>() > kMaxAxis) bad();
    shape.push_back(axis.get<int64_t>());
  }
  return shape;
}

std::vector<int64_t> shape_of(const Safetensors& file, const Packing& packing, const std::string& name, int rank) {
  if (packing.format == LOWBIT_F32) return file.expect(name, "F32", rank).shape;
  return packed_shape(file, name, static_cast<size_t>(rank));
}

Matrix read_matrix(const Safetensors& file, const Packing& packing, const std::string& name, int64_t H, int64_t K,
                   int64_t N, int64_t channels) {
  Matrix matrix{H, K, N, {}, {}, {}};
  if (packing.format == LOWBIT_F32) {
    matrix.values = finite_floats(file, file.expect(name, "F32", -1));
    return matrix;
  }
  const SafetensorsEntry& packed = file.expect(name, "U8", 1);
  const auto bytes = static_cast<int64_t>(lowbit_packed_weight_size(packing.format, static_cast<uint64_t>(H * K * N)));
  expect_shape(file, name, packed.shape, {bytes}, "the bytes its lowbit.shape takes");
  const auto* first = reinterpret_cast<const uint8_t*>(packed.bytes.data());
  matrix.packed.assign(first, first + packed.bytes.size());
  const SafetensorsEntry& scales = file.expect(name + ".scales", "F32", 1);
  expect_shape(file, name + ".scales", scales.shape, {packing.group == LOWBIT_PER_TENSOR ? 1 : channels},
               "one a channel");
  matrix.scales = finite_floats(file, scales);
  return matrix;
}

Packing read_packing(const Safetensors& file) {
  if (!file.metadata().contains("lowbit.version")) return {};
  const std::string version = metadata(file, "lowbit.version");
  if (version != kPackedVersion) {
    fault(file, fmt::format("metadata 'lowbit.version' is {}, this program reads '{}'", lowbit::formats::quote(version),
                            kPackedVersion));
  }
  const auto named = [&](const char* key, const auto& names) {
    const std::string text = metadata(file, key);
    for (const auto& [name, value] : names) {
      if (text == name) return value;
    }
    fault(file, fmt::format("metadata '{}' is {}, it may be {}", key, lowbit::formats::quote(text), list_of(names)));
  };
  return {named("lowbit.format", kPackedFormats), named("lowbit.rule", kRules), named("lowbit.group", kWeightGroups)};
}

void pack(const lowbit::Stream& stream, const Packing& packing, const char* name, bool heads_are_summed, Matrix* m) {
  // The tail's matrices are one: a channel is a column over all heads.
  const int64_t matrices = heads_are_summed ? 1 : m->H, K = heads_are_summed ? m->H * m->K : m->K;
  m->packed.resize(lowbit_packed_weight_size(packing.format, m->values.size()));
  m->scales.resize(packing.group == LOWBIT_PER_TENSOR ? 1 : static_cast<size_t>(matrices * m->N));
  try {
    lowbit::pack_weight(
        stream,
        {.format = packing.format,
         .rule = packing.rule,
         .group = packing.group,
         .input = lowbit::tensor(m->values.data(), LOWBIT_TYPE_F32, {matrices, K, m->N}),
         .packed = lowbit::tensor(m->packed.data(), LOWBIT_TYPE_U8, {static_cast<int64_t>(m->packed.size())}),
         .scales = lowbit::tensor(m->scales.data(), LOWBIT_TYPE_F32, {static_cast<int64_t>(m->scales.size())})});
  } catch (const lowbit::Error& error) {
    throw FileError(fmt::format("tensor '{}': {}", name, error.what()));
  }
  m->values.clear();
}

}  // namespace

Model load_model(const std::string& path, std::optional<int64_t> layers) {
  const Safetensors file = Safetensors::read(path);
  Model model{};
  model.packing = read_packing(file);
  const std::vector<int64_t> encoder = shape_of(file, model.packing, "encoder", 3);
  const int64_t H = encoder[0], D = encoder[1], N = encoder[2];
  if (H < 1 || D < 1 || N < 2 || N % 2 != 0) {
    fault(file, fmt::format("tensor 'encoder' has shape {}, it must be [heads, embedding, latent] with an even latent",
                            lowbit::formats::shape_text(encoder)));
  }
  expect_shape(file, "encoder_v", shape_of(file, model.packing, "encoder_v", 3), encoder, "as the encoder");
  expect_shape(file, "decoder", shape_of(file, model.packing, "decoder", 2), {H * N, D}, "heads * latent, embedding");
  const SafetensorsEntry& embedding = file.expect("embed.weight", "F32", 2);
  expect_shape(file, "embed.weight", embedding.shape, {kVocabulary, D}, "a row a byte");
  const SafetensorsEntry& lm_head = file.expect("lm_head", "F32", 2);
  expect_shape(file, "lm_head", lm_head.shape, {D, kVocabulary}, "a column a byte");

  model.D = D;
  model.H = H;
  model.N = N;
  if (!layers && !file.metadata().contains("n_layer")) fault(file, "the metadata lacks 'n_layer': give --layers");
  model.layers = layers ? *layers : metadata_number(file, "n_layer", kMaxLayers);
  model.encoder = read_matrix(file, model.packing, "encoder", H, D, N, H * N);
  model.encoder_v = read_matrix(file, model.packing, "encoder_v", H, D, N, H * N);
  model.decoder = read_matrix(file, model.packing, "decoder", H, N, D, D);
  model.embedding = finite_floats(file, embedding);
  model.lm_head = finite_floats(file, lm_head);
  return model;
}

Model pack_model(const Model& model, const Packing& packing) {
  Model packed = model;
  packed.packing = packing;
  // Packing is done once, by the definition itself; every backend's would give the same bytes.
  const lowbit::Device device = lowbit::Device::open({.backend = "reference"});
  const lowbit::Stream stream(device);
  pack(stream, packing, "encoder", false, &packed.encoder);
  pack(stream, packing, "encoder_v", false, &packed.encoder_v);
  pack(stream, packing, "decoder", true, &packed.decoder);
  return packed;
}

std::vector<std::byte> packed_file(const Model& model) {
  const nlohmann::json shapes = {{"encoder", {model.H, model.D, model.N}},
                                 {"encoder_v", {model.H, model.D, model.N}},
                                 {"decoder", {model.H * model.N, model.D}}};
  const std::map<std::string, std::string> metadata = {{"lowbit.version", kPackedVersion},
                                                       {"lowbit.format", name_of(model.packing.format, kPackedFormats)},
                                                       {"lowbit.rule", name_of(model.packing.rule, kRules)},
                                                       {"lowbit.group", name_of(model.packing.group, kWeightGroups)},
                                                       {"lowbit.shape", shapes.dump()},
                                                       {"n_layer", std::to_string(model.layers)}};
  std::vector<SafetensorsEntry> tensors;
  const auto add = [&](const std::string& name, const char* dtype, std::vector<int64_t> shape, const auto& values) {
    tensors.push_back({name, dtype, std::move(shape), std::as_bytes(std::span(values))});
  };
  // Floats first, so that they are aligned.
  const auto count = [](const auto& values) { return static_cast<int64_t>(values.size()); };
  add("embed.weight", "F32", {kVocabulary, model.D}, model.embedding);
  add("lm_head", "F32", {model.D, kVocabulary}, model.lm_head);
  const std::pair<const char*, const Matrix*> matrices[] = {
      {"encoder", &model.encoder}, {"encoder_v", &model.encoder_v}, {"decoder", &model.decoder}};
  for (const auto& [name, m] : matrices) add(std::string(name) + ".scales", "F32", {count(m->scales)}, m->scales);
  for (const auto& [name, m] : matrices) add(name, "U8", {count(m->packed)}, m->packed);
  return lowbit::formats::write_safetensors(metadata, tensors);
}

}  // namespace bdh
