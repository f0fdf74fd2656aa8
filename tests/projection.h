// A case of either projection: its operands from a seed, the call, and what it must give.
#pragma once

#include <optional>

#include "harness.h"
#include "oracle.h"

namespace lowbit::test {

constexpr lowbit_format kCodeFormats[] = {LOWBIT_INT8, LOWBIT_INT4, LOWBIT_UINT8};
constexpr lowbit_format kWeightFormats[] = {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY};

// Where the activations' scales come from: floats are quantised by the call; codes come with a scale for all in device
// memory, with one a group, or with one in the arguments.
enum class Source { floats, one_scale, scales, host_scale };

// How large codes are: all at random; or so that sums run away to both sides as fast as they can.
enum class Sums { random, extreme };

struct Projection {
  lowbit_operation operation;
  lowbit_format activations, weights;
  // lowrank_projection: K = E, N = L, and `used` = Lo. decoder_tail: K = L, N = D, and `used` = l; Hi is H.
  int64_t B = 1, Hi = 1, H = 1, T = 1, K, N, used;
  Source source = Source::scales;
  lowbit_rule rule = LOWBIT_ABSMAX;
  lowbit_group group = LOWBIT_PER_TOKEN;
  bool per_channel = true;
  std::optional<float> threshold = {};
  Values values = Values::uniform;  // of floats
  Sums sums = Sums::random;
  bool hostile_scales = false;
  uint64_t seed = 1;
  Spacing input = {}, output = {};

  bool is_lowrank() const { return operation == LOWBIT_LOWRANK_PROJECTION; }
  int64_t length() const { return is_lowrank() ? K : used; }  // of a row of activations
  int64_t input_rows() const { return B * Hi * T; }
  int64_t groups() const { return is_lowrank() ? B * Hi * T : B * T; }
  std::vector<int64_t> output_shape() const {
    return is_lowrank() ? std::vector{B, H, T, used} : std::vector{B, int64_t{1}, T, N};
  }
  std::string text() const;
};

class ProjectionTest : public ParityTest {
 protected:
  // Codes against the oracle, bit for bit. Floats (format f32) against a sum in float64 within the bound of the class
  // `bounded`; on a host device against the reference too, bit for bit.
  void check(const Projection& c);
  // With every format of activations and weights, sources and weight scales by turns.
  void check_all_formats(Projection c);
  // With every format of codes, and nothing else changed.
  void check_code_formats(lowbit_format weights, Projection c);
};

// A case whose every choice is a draw.
Projection random_projection(lowbit_operation operation, uint64_t seed);

}  // namespace lowbit::test
