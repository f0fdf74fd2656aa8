#include "model_file.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <random>
#include <stdexcept>

namespace lowbit::test {

std::span<float> ModelTensor::floats() {
  if (dtype != "F32") throw std::logic_error(name + " is no F32 tensor");
  return {reinterpret_cast<float*>(bytes.data()), bytes.size() / sizeof(float)};
}

ModelTensor& ModelFile::operator[](const std::string& name) {
  const auto found = std::ranges::find(tensors, name, &ModelTensor::name);
  if (found == tensors.end()) throw std::logic_error("no tensor " + name);
  return *found;
}

void ModelFile::remove(const std::string& name) {
  if (std::erase_if(tensors, [&](const ModelTensor& t) { return t.name == name; }) != 1) {
    throw std::logic_error("no tensor " + name);
  }
}

void ModelFile::reshape(const std::string& name, std::vector<int64_t> shape) {
  ModelTensor& tensor = (*this)[name];
  const int64_t item = tensor.dtype == "U8" ? 1 : 4;
  tensor.bytes.assign(static_cast<size_t>(formats::tensor_bytes(shape, item).value()), std::byte{0});
  tensor.shape = std::move(shape);
}

std::vector<std::byte> ModelFile::bytes() const {
  std::vector<formats::SafetensorsEntry> entries;
  for (const ModelTensor& t : tensors) entries.push_back({t.name, t.dtype, t.shape, t.bytes});
  return formats::write_safetensors(metadata, entries);
}

void ModelFile::write(const std::string& path) const {
  formats::AtomicFiles files;
  files.add(path, bytes());
  files.commit();
}

namespace {

ModelFile take_apart(const formats::Safetensors& file) {
  ModelFile model{file.metadata(), {}};
  for (const formats::SafetensorsEntry& t : file.tensors()) {
    model.tensors.push_back({t.name, t.dtype, t.shape, {t.bytes.begin(), t.bytes.end()}});
  }
  return model;
}

}  // namespace

ModelFile read_model_file(const std::string& path) { return take_apart(formats::Safetensors::read(path)); }

ModelFile packed(const ModelFile& floats, const bdh::Packing& packing) {
  std::string name = (std::filesystem::temp_directory_path() / "lowbit_model_XXXXXX").string();
  const int fd = ::mkstemp(name.data());
  if (fd < 0) throw std::runtime_error("cannot make a temporary file");
  ::close(fd);
  floats.write(name);
  const bdh::Model model = bdh::load_model(name);
  std::filesystem::remove(name);
  return take_apart(formats::Safetensors::parse(bdh::packed_file(bdh::pack_model(model, packing)), "packed"));
}

ModelFile tiny_model(TinySizes s) {
  std::mt19937 random(7);
  const auto tensor = [&](std::string name, std::vector<int64_t> shape, float size) {
    ModelTensor t{std::move(name), "F32", shape, {}};
    t.bytes.resize(static_cast<size_t>(formats::tensor_bytes(shape, sizeof(float)).value()));
    for (float& value : t.floats()) value = (static_cast<float>(random()) * 0x1p-31f - 1) * size;
    return t;
  };
  ModelFile model{{{"format", "pt"}, {"n_layer", std::to_string(s.layers)}, {"n_head", "77"}}, {}};
  model.tensors = {tensor("decoder", {s.H * s.N, s.D}, 0.3f),
                   tensor("encoder", {s.H, s.D, s.N}, 0.8f),
                   tensor("encoder_v", {s.H, s.D, s.N}, 0.8f),
                   tensor("attn.freqs", {1, 1, 1, s.N}, 1.0f),
                   tensor("embed.weight", {bdh::kVocabulary, s.D}, 1.0f),
                   tensor("lm_head", {s.D, bdh::kVocabulary}, 1.0f),
                   {"attn.steps", "I64", {}, std::vector<std::byte>(8)}};
  // Some bytes' embeddings are so small that the layer norm's epsilon shows, and one is constant.
  const std::span<float> embedding = model["embed.weight"].floats();
  for (size_t token = 0; token < static_cast<size_t>(bdh::kVocabulary); ++token) {
    const std::span<float> row = embedding.subspan(token * static_cast<size_t>(s.D), static_cast<size_t>(s.D));
    for (float& value : row) value *= token % 3 == 0 ? 1.0f : token % 3 == 1 ? 0.05f : 0.003f;
  }
  std::ranges::fill(embedding.first(static_cast<size_t>(s.D)), 0.5f);
  return model;
}

}  // namespace lowbit::test
