// Hatchlings as files, to be taken apart, changed and written again; and a small random one.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "formats/safetensors.h"
#include "model.h"

namespace lowbit::test {

struct ModelTensor {
  std::string name, dtype;
  std::vector<int64_t> shape;
  std::vector<std::byte> bytes;

  std::span<float> floats();  // of an F32 tensor
};

struct ModelFile {
  std::map<std::string, std::string> metadata;
  std::vector<ModelTensor> tensors;

  ModelTensor& operator[](const std::string& name);
  void remove(const std::string& name);
  // Gives a tensor another shape and as many zero bytes as that takes.
  void reshape(const std::string& name, std::vector<int64_t> shape);

  std::vector<std::byte> bytes() const;
  void write(const std::string& path) const;
};

ModelFile read_model_file(const std::string& path);
// The file that `lowbit pack` writes for it.
ModelFile packed(const ModelFile& floats, const bdh::Packing& packing);

// What the formulas see in a small model.
struct TinySizes {
  int64_t D = 6, H = 2, N = 10, layers = 3;
};
// Random weights, embeddings of very different sizes, and tensors that are to be ignored, as a training script leaves
// them.
ModelFile tiny_model(TinySizes sizes = {});

}  // namespace lowbit::test
