// The three projections of a layer, the model's share of the work that lowbit computes: on floats for the yardstick, on
// lowbit's operations otherwise.
#pragma once

#include <memory>
#include <span>

#include "lowbit/lowbit.hpp"
#include "model.h"

namespace bdh {

// How the model computes; what the command's options say.
struct Configuration {
  Packing weights;
  lowbit_format activations = LOWBIT_F32;  // f32, or int8: x and ln(a) as int8, xs*ys as uint8, a scale a token
  lowbit_rule rule = LOWBIT_ABSMAX;        // of the activations
  lowbit_format rho = LOWBIT_F32;          // f32, or compressed and expanded after every rho_chunk-th token
  int64_t rho_chunk = 16;
};

// One session's: not shared between threads.
class Projections {
 public:
  virtual ~Projections() = default;
  virtual void encode(std::span<const float> x, std::span<float> xs) = 0;       // [D] -> relu [H, N]
  virtual void encode_v(std::span<const float> a, std::span<float> ys) = 0;     // [H, D] -> relu [H, N]
  virtual void decode(std::span<const float> product, std::span<float> x) = 0;  // [H, N] -> [D]
};

// The weights on a device; shared by all sessions.
class Weights {
 public:
  // Packs the model's floats where the configuration asks for it. `device` and `model` must live as long.
  Weights(const lowbit::Device& device, const Model& model, const Configuration& configuration);

  const Model& model() const { return *model_; }
  const Configuration& configuration() const { return configuration_; }
  const lowbit::Device& device() const { return device_; }
  std::unique_ptr<Projections> projections(const lowbit::Stream& stream) const;

 private:
  const lowbit::Device& device_;
  const Model* model_;
  Configuration configuration_;
  std::unique_ptr<lowbit::Weight> encoder_, encoder_v_, decoder_;  // null for f32
};

}  // namespace bdh
