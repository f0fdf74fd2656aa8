// A Dragon Hatchling's tensors, from a safetensors file of floats or from a packed one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lowbit/lowbit.hpp"

namespace bdh {

constexpr int64_t kVocabulary = 256;  // bytes

// A projection's weight: floats (format f32) or packed codes with their scales. H matrices of K x N.
struct Matrix {
  int64_t H, K, N;
  std::vector<float> values;
  std::vector<uint8_t> packed;
  std::vector<float> scales;
};

// How the three projections' weights are stored.
struct Packing {
  lowbit_format format = LOWBIT_F32;
  lowbit_rule rule = LOWBIT_ABSMAX;  // int8 only
  lowbit_group group = LOWBIT_PER_CHANNEL;
};

struct Model {
  int64_t D;       // embedding
  int64_t H;       // heads
  int64_t N;       // latent per head
  int64_t layers;  // all share the weights
  Packing packing;
  Matrix encoder;                // [H, D, N]
  Matrix encoder_v;              // [H, D, N]
  Matrix decoder;                // [H, N, D]
  std::vector<float> embedding;  // [256, D]
  std::vector<float> lm_head;    // [D, 256]
};

// Reads either kind; sizes come from the shapes, layers from the metadata unless given. Throws formats::FileError with
// the tensor and the fault; further tensors are ignored.
Model load_model(const std::string& path, std::optional<int64_t> layers = {});

// The model with its float weights packed. Throws formats::FileError for weights that are not finite.
Model pack_model(const Model& model, const Packing& packing);

// The bytes of the packed file (docs/formats.md).
std::vector<std::byte> packed_file(const Model& model);

}  // namespace bdh
