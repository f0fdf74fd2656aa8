#include "projection.h"

#include <fmt/format.h>

#include <cfloat>
#include <cmath>

namespace lowbit::test {
namespace {

struct Contents {
  std::vector<float> floats;
  oracle::Codes codes;
  oracle::Weight weight;
};

std::vector<float> make_scales(int64_t count, bool hostile, Random& random) {
  std::vector<float> scales;
  for (int64_t i = 0; i < count; ++i) {
    scales.push_back(hostile ? hostile_float(random) : static_cast<float>(0.01 + random.unit()));
  }
  return scales;
}

// Rows and columns by turns: all at the upper bound, all at the lower, at random.
void drive_to_bounds(const Projection& c, Contents* made) {
  for (size_t i = 0; i < made->codes.codes.size(); ++i) {
    const int64_t row = static_cast<int64_t>(i) / c.length();
    if (row % 3 != 2)
      made->codes.codes[i] = (row % 3 == 1 && c.activations != LOWBIT_UINT8 ? -1 : 1) * qmax_of(c.activations);
  }
  const int32_t top = c.weights == LOWBIT_INT8 ? 127 : 1;
  for (size_t i = 0; i < made->weight.codes.size(); ++i) {
    const int64_t column = static_cast<int64_t>(i) % c.N;
    if (column % 3 != 2) made->weight.codes[i] = column % 3 == 0 ? top : -top;
  }
}

Contents make_contents(const Projection& c) {
  Contents made;
  Random random(c.seed ^ 0x5ca1e5);
  made.weight.codes = make_codes(c.weights, c.H * c.K * c.N, c.seed + 1);
  made.weight.scales = make_scales(c.per_channel ? (c.is_lowrank() ? c.H * c.N : c.N) : 1, c.hostile_scales, random);
  if (c.source == Source::floats) {
    made.floats = make_values(c.values, c.input_rows(), c.length(), qmax_of(c.activations), c.seed);
    if (c.activations != LOWBIT_F32) {
      const char* per_token = c.is_lowrank() ? "per_token" : "per_token_all_heads";
      made.codes = oracle::quantize(made.floats, {c.B, c.Hi, c.T, c.length()}, name_of(c.activations), name_of(c.rule),
                                    c.group == LOWBIT_PER_TENSOR ? "per_tensor" : per_token);
    }
  } else {
    made.codes.codes = make_codes(c.activations, c.input_rows() * c.length(), c.seed);
    made.codes.scales = make_scales(c.source == Source::scales ? c.groups() : 1, c.hostile_scales, random);
  }
  if (c.sums == Sums::extreme) drive_to_bounds(c, &made);
  made.weight.packed = pack_bytes(c.weights, made.weight.codes);
  return made;
}

// Words of four codes; the lanes past the end of a row are junk, which must not matter.
Words words_of(const Projection& c, const oracle::Codes& codes) {
  Words words = oracle::pack_words(codes.codes, c.length());
  const int64_t in_row = ceil_div(c.length(), 4), filled = c.length() % 4;
  if (filled == 0) return words;
  for (size_t last = static_cast<size_t>(in_row) - 1; last < words.size(); last += static_cast<size_t>(in_row)) {
    words[last] |= 0x5affa37fu << (8 * filled);
  }
  return words;
}

std::vector<float> expect(const Projection& c, const Contents& contents) {
  if (c.is_lowrank()) {
    return oracle::lowrank_projection(contents.codes, contents.weight, {c.B, c.Hi, c.H, c.T, c.K, c.N, c.used},
                                      c.threshold);
  }
  return oracle::decoder_tail(contents.codes, contents.weight, {c.B, c.H, c.T, c.used, c.K, c.N});
}

struct WeightDeleter {
  void operator()(lowbit_weight* weight) const { lowbit_weight_destroy(weight); }
};
using WeightHandle = std::unique_ptr<lowbit_weight, WeightDeleter>;

WeightHandle prepare(const Rig& rig, const Projection& c, const Contents& contents) {
  // Host memory, whatever the device: it is read by the call and then gone.
  const Operand packed(rig, Place::at_end, LOWBIT_TYPE_U8, {static_cast<int64_t>(contents.weight.packed.size())},
                       bits_of(contents.weight.packed));
  const Operand scales(rig, Place::at_end, LOWBIT_TYPE_F32, {static_cast<int64_t>(contents.weight.scales.size())},
                       bits_of(contents.weight.scales));
  const lowbit_weight_desc desc{sizeof(desc),
                                c.operation,
                                c.weights,
                                c.H,
                                c.K,
                                c.N,
                                packed.tensor().data,
                                contents.weight.packed.size(),
                                static_cast<const float*>(scales.tensor().data),
                                contents.weight.scales.size()};
  lowbit_weight* weight = nullptr;
  EXPECT_EQ(lowbit_weight_prepare(rig.device, &desc, &weight), LOWBIT_OK) << c.text() << ": " << lowbit_last_error();
  return WeightHandle(weight);
}

using Call = std::function<lowbit_status(const std::function<lowbit_status()>&)>;

Words run(const Rig& rig, const Projection& c, const Contents& contents, const lowbit_weight* weight, Place place,
          const Call& call) {
  const bool is_packed = c.source != Source::floats;
  const Operand values(rig, place, is_packed ? LOWBIT_TYPE_I32 : LOWBIT_TYPE_F32,
                       {c.B, c.Hi, c.T, is_packed ? ceil_div(c.length(), 4) : c.length()},
                       is_packed ? words_of(c, contents.codes) : bits_of(contents.floats), c.input);
  const Operand output(rig, place, LOWBIT_TYPE_F32, c.output_shape(), c.output);
  lowbit_activations input{values.tensor(), {}, 0, c.activations, c.rule, c.group};
  std::optional<Operand> scales;
  if (c.source == Source::host_scale) {
    input.scale = contents.codes.scales[0];
  } else if (is_packed) {
    scales.emplace(rig, place, LOWBIT_TYPE_F32, std::vector{static_cast<int64_t>(contents.codes.scales.size())},
                   bits_of(contents.codes.scales), Spacing{0, c.input.offset});
    input.scales = scales->tensor();
  }
  const lowbit_lowrank_projection_args lowrank{sizeof(lowrank), c.threshold.has_value(), c.threshold.value_or(0), input,
                                               weight,          output.tensor()};
  // Only codes whose latent is not the weight's need it said.
  const bool says_latent = is_packed && c.used != c.K;
  const lowbit_decoder_tail_args tail{sizeof(tail), says_latent ? c.used : 0, input, weight, output.tensor()};
  const lowbit_status status = call([&] {
    return c.is_lowrank() ? lowbit_lowrank_projection(rig.stream, &lowrank) : lowbit_decoder_tail(rig.stream, &tail);
  });
  EXPECT_EQ(status, LOWBIT_OK) << c.text() << ": " << lowbit_last_error();
  return output.read();
}

// The row of activations and the column of weights behind an output, and the scale of the weights.
struct Terms {
  double sum = 0, magnitude = 0, count = 0, scale = 0;
};
Terms terms_of(const Projection& c, const Contents& contents, int64_t output) {
  const int64_t columns = c.output_shape().back(), column = output % columns, row = output / columns;
  const int64_t t = row % c.T, h_out = c.is_lowrank() ? row / c.T % c.H : 0;
  const int64_t b = row / c.T / (c.is_lowrank() ? c.H : 1);
  Terms terms;
  const auto add_head = [&](int64_t head, int64_t input_head) {
    for (int64_t k = 0; k < c.length(); ++k) {
      const double a = contents.floats[((b * c.Hi + input_head) * c.T + t) * c.length() + k];
      const double term = a * contents.weight.codes[(head * c.K + k) * c.N + column];
      terms.sum += term, terms.magnitude += std::fabs(term), ++terms.count;
    }
  };
  if (c.is_lowrank()) {
    add_head(h_out, c.Hi == 1 ? 0 : h_out);
  } else {
    for (int64_t h = 0; h < c.H; ++h) add_head(h, h);
  }
  const auto& scales = contents.weight.scales;
  terms.scale = scales[scales.size() == 1 ? 0 : h_out * c.N + column];
  return terms;
}

// docs/numerics.md, class bounded; the threshold's subtraction rounds once more, and so does a subnormal result.
void expect_bounded(const Projection& c, const Contents& contents, const std::vector<float>& got) {
  for (size_t i = 0; i < got.size(); ++i) {
    const Terms terms = terms_of(c, contents, static_cast<int64_t>(i));
    double wanted = terms.sum * terms.scale, magnitude = terms.magnitude * std::fabs(terms.scale);
    double bound = 4 * terms.count * 0x1p-24 * magnitude + 0x1p-148;
    // The sum may overflow before it is scaled, and on the edge of overflow either side is right.
    if (std::isfinite(terms.magnitude) && !std::isnan(terms.scale)) {
      if (terms.magnitude > FLT_MAX) continue;
      if (std::isfinite(terms.scale) && std::fabs(std::fabs(wanted) - FLT_MAX) <= bound) continue;
    }
    if (std::fabs(wanted) > FLT_MAX) wanted = std::copysign(INFINITY, wanted);
    if (c.threshold) {
      wanted -= *c.threshold;
      bound += 4 * 0x1p-24 * std::fabs(wanted);
      if (wanted < 0) wanted = 0;
    }
    const bool good = std::isnan(wanted)   ? std::isnan(got[i])
                      : std::isinf(wanted) ? got[i] == wanted
                                           : std::fabs(got[i] - wanted) <= bound;
    ASSERT_TRUE(good) << fmt::format("{}: element {}: got {}, expected {} within {}", c.text(), i, got[i], wanted,
                                     bound);
  }
}

// The reference's answer, to compare the other host devices with.
Words run_on_reference(const Projection& c, const Contents& contents) {
  Rig rig;
  std::string absent;
  rig.device = open({"reference", "reference"}, LOWBIT_GUARD_OFF, &absent);
  EXPECT_EQ(lowbit_stream_create(rig.device, &rig.stream), LOWBIT_OK);
  Words output;
  {
    const WeightHandle weight = prepare(rig, c, contents);
    output = run(rig, c, contents, weight.get(), Place::at_end, [](const auto& body) { return body(); });
  }
  lowbit_stream_destroy(rig.stream);
  lowbit_device_close(rig.device);
  return output;
}

}  // namespace

std::string Projection::text() const {
  constexpr const char* kSources[] = {"floats", "codes with a scale", "codes with scales", "codes with a host scale"};
  return fmt::format("{} {}x{} B {} Hi {} H {} T {} {} of L {}, {} of {}{}{}, weights {}{}{}{} (seed {})",
                     is_lowrank() ? "lowrank_projection" : "decoder_tail", name_of(activations), name_of(weights), B,
                     Hi, H, T, is_lowrank() ? fmt::format("E {} Lo {}", K, used) : fmt::format("D {} l {}", N, used),
                     is_lowrank() ? N : K, kSources[static_cast<int>(source)], name_of(values),
                     rule == LOWBIT_ABSMEAN ? " absmean" : "", group == LOWBIT_PER_TENSOR ? " per_tensor" : "",
                     per_channel ? "per_channel" : "per_tensor",
                     threshold ? fmt::format(", threshold {}", *threshold) : "",
                     hostile_scales ? ", hostile scales" : "", sums == Sums::extreme ? ", extreme" : "", seed);
}

void ProjectionTest::check(const Projection& c) {
  const Contents contents = make_contents(c);
  const WeightHandle weight = prepare(rig, c, contents);
  ASSERT_NE(weight, nullptr);
  lowbit_device_info info{sizeof(info)};
  ASSERT_EQ(lowbit_device_get_info(rig.device, &info), LOWBIT_OK);
  for (Place place : places) {
    const Words got = run(rig, c, contents, weight.get(), place, [&](const auto& body) { return call(body); });
    if (c.activations == LOWBIT_F32) {
      expect_bounded(c, contents, floats_of(got));
      count_as_reached();
      if (info.host_memory == 0) continue;
      const Words& reference = remembered(c.text(), [&] { return run_on_reference(c, contents); });
      expect_same(c.text(), got, reference, Match::floats);
    } else {
      const Words& expected = remembered(c.text(), [&] { return bits_of(expect(c, contents)); });
      expect_same(c.text(), got, expected, Match::floats);
    }
  }
}

void ProjectionTest::check_all_formats(Projection c) {
  int turn = static_cast<int>(c.K + c.N + c.T);
  for (lowbit_format weights : kWeightFormats) {
    c.weights = weights;
    for (lowbit_format activations : kCodeFormats) {
      c.activations = activations;
      c.source = static_cast<Source>(turn % 4);
      c.rule = turn % 3 == 0 ? LOWBIT_ABSMEAN : LOWBIT_ABSMAX;
      c.group = turn % 5 == 0 ? LOWBIT_PER_TENSOR : LOWBIT_PER_TOKEN;
      c.per_channel = turn % 7 != 0;
      check(c);
      ++turn;
    }
    c.activations = LOWBIT_F32, c.source = Source::floats;
    check(c);
  }
}

void ProjectionTest::check_code_formats(lowbit_format weights, Projection c) {
  c.weights = weights;
  for (lowbit_format activations : kCodeFormats) {
    c.activations = activations;
    check(c);
  }
}

Projection random_projection(lowbit_operation operation, uint64_t seed) {
  Random random(seed);
  Projection c{.operation = operation, .K = random.between(1, 140), .N = random.between(1, 70), .seed = seed};
  c.activations = random.chance(0.2) ? LOWBIT_F32 : random.pick(kCodeFormats);
  c.weights = random.pick(kWeightFormats);
  c.B = random.between(1, 3), c.H = random.between(1, 5), c.T = random.pick(kRows);
  c.Hi = c.is_lowrank() && random.chance(0.5) ? 1 : c.H;
  const int64_t most = c.is_lowrank() ? c.N : c.K;
  c.used = random.chance(0.5) ? most : random.between(1, most);
  c.source = c.activations == LOWBIT_F32 ? Source::floats : static_cast<Source>(random.between(0, 3));
  c.rule = random.pick({LOWBIT_ABSMAX, LOWBIT_ABSMEAN});
  c.group = random.pick({LOWBIT_PER_TENSOR, LOWBIT_PER_TOKEN});
  c.per_channel = random.chance(0.7);
  if (c.is_lowrank() && random.chance(0.5)) c.threshold = random.chance(0.5) ? 0.0f : static_cast<float>(random.unit());
  if (c.is_lowrank() && random.chance(0.1)) c.threshold = hostile_float(random);
  c.values = static_cast<Values>(random.between(0, kValuesCount - 1));
  c.hostile_scales = random.chance(0.3);
  if (c.source != Source::floats && random.chance(0.2)) c.sums = Sums::extreme;
  if (random.chance(0.5)) c.input = {random.between(0, 9), random.between(0, 5)};
  if (random.chance(0.5)) c.output = {random.between(0, 9), random.between(0, 5)};
  return c;
}

}  // namespace lowbit::test
