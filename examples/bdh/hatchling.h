// The Dragon Hatchling, one token at a time. Everything between lowbit's operations (rope, layer norm, the read-out and
// update of rho, the head) is float arithmetic on the host, the same for every backend, so that a low-bit configuration
// writes the same text everywhere.
//
//   x = ln(embed[token])                                      [D]
//   each layer:  xs = relu(x E[h])                            [H, N]   lowrank_projection
//                q  = rope(xs)
//                a  = q rho[layer, h]                         [H, D]   rho as it was before this token
//                rho[layer, h] += q' x                        [N, D]
//                ys = relu(ln(a) Ev[h])                       [H, N]   lowrank_projection
//                x  = ln(x + ln((xs * ys) Dec))               [D]      decoder_tail
//   logits = x lm_head                                        [256]
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "projections.h"

namespace bdh {

// One text in progress: its state rho and its position. Not shared between threads.
class Hatchling {
 public:
  // `weights` must live as long.
  explicit Hatchling(const Weights& weights);

  // Takes one token and returns the logits for the next; valid until the next call. Throws std::runtime_error if they are
  // not finite.
  std::span<const float> step(uint8_t token);
  // Starts a new text.
  void reset();

 private:
  void layer(int64_t index);
  void compute_rope_table();
  void rope(std::span<const float> in, std::span<float> out) const;
  void recur(std::span<const float> q, std::span<float> rho, std::span<float> a) const;
  void recompress_rho();

  const Weights& weights_;
  const Model& m_;
  lowbit::Stream stream_;
  std::unique_ptr<Projections> projections_;
  int64_t position_ = 0;
  std::vector<float> rho_;                                   // [layers, H, N, D]
  std::vector<float> frequency_;                             // [N / 2], turns a token
  std::vector<float> cosine_, sine_;                         // [N / 2], at position_
  std::vector<float> x_, update_;                            // [D]
  std::vector<float> xs_, ys_, q_;                           // [H, N]
  std::vector<float> a_;                                     // [H, D]
  std::vector<float> logits_;                                // [256]
  std::unique_ptr<lowbit::Buffer> block_, packed_, scales_;  // rho [N, D] on the device, where it is compressed
};

}  // namespace bdh
