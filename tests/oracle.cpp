// From the bottom up: f32 on bits, the tree sum, a group's scale and codes, then the operations.
//
// A finite f32 is an integer times a power of two. Products, quotients and sums of those are again such, exactly, in
// 128 bits (a quotient with a flag for what is left over), and round_to_f32() turns one into the nearest f32. Two
// facts about the format save the rest of the work: non-negative values order as their bit patterns do, and a
// rounding that carries runs over into the exponent field, up to infinity, by plain addition.
#include "oracle.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>

namespace oracle {
namespace {

using Bits = uint32_t;  // an f32
__extension__ typedef __int128 Int;
__extension__ typedef unsigned __int128 Wide;

constexpr Bits kSign = 0x80000000;
constexpr Bits kInfinity = 0x7f800000;
constexpr Bits kNan = 0x7fc00000;
constexpr Bits kEps = 0x322bcc77;  // 1e-8f

[[noreturn]] void fail(const std::string& message) { throw std::invalid_argument("oracle: " + message); }

void require(bool holds, const char* message) {
  if (!holds) fail(message);
}

// The first n elements of x, or what is left of it, taken off its front.
template <typename T>
std::span<T> take(std::span<T>& x, size_t n) {
  const std::span<T> front = x.first(std::min(x.size(), n));
  x = x.subspan(front.size());
  return front;
}

// --- f32 on bits -----------------------------------------------------------------------------------------------------

Bits to_bits(float x) { return std::bit_cast<Bits>(x); }
float to_float(Bits x) { return std::bit_cast<float>(x); }
Bits magnitude(Bits x) { return x & ~kSign; }
bool is_finite(Bits x) { return magnitude(x) < kInfinity; }
bool is_nan(Bits x) { return magnitude(x) > kInfinity; }

// A finite value without its sign: mantissa * 2^exponent.
struct Exact {
  uint32_t mantissa;
  int exponent;
};

Exact exact(Bits x) {
  const Bits field = magnitude(x) >> 23, fraction = x & 0x7fffff;
  return field == 0 ? Exact{fraction, -149} : Exact{fraction | 1u << 23, static_cast<int>(field) - 150};
}

int bit_length(Wide m) {
  const auto high = static_cast<uint64_t>(m >> 64), low = static_cast<uint64_t>(m);
  return static_cast<int>(high != 0 ? 64 + std::bit_width(high) : std::bit_width(low));
}

// m / 2^drop to the nearest integer, ties to even, for m < 2^126 and m * 2^-drop that fits. sticky: the exact value
// lies a little above m, by less than one.
Wide shift_to_nearest(Wide m, int drop, bool sticky) {
  if (drop <= 0) return m << -drop;
  drop = std::min(drop, 127);  // below one half from here on: 0, however far
  const Wide kept = m >> drop, rest = m - (kept << drop), half = Wide{1} << (drop - 1);
  const bool up = rest > half || (rest == half && (sticky || (kept & 1) != 0));
  return kept + up;
}

// The f32 nearest to mantissa * 2^exponent: subnormals keep fewer bits, overflow is infinity.
Bits round_to_f32(Bits sign, Wide mantissa, int exponent, bool sticky) {
  if (mantissa == 0) return sign;
  const int drop = std::max(bit_length(mantissa) - 24, -149 - exponent);
  const auto rounded = static_cast<Bits>(shift_to_nearest(mantissa, drop, sticky));
  exponent += drop;
  if (exponent > 104) return sign | kInfinity;
  // The leading bit of a normal mantissa, or a carry past it, adds to the exponent field.
  return sign | ((static_cast<Bits>(exponent + 149) << 23) + rounded);
}

Bits multiply(Bits a, Bits b) {
  const Bits sign = (a ^ b) & kSign;
  if (is_nan(a) || is_nan(b)) return kNan;
  if (!is_finite(a) || !is_finite(b)) return magnitude(a) == 0 || magnitude(b) == 0 ? kNan : sign | kInfinity;
  const Exact x = exact(a), y = exact(b);
  return round_to_f32(sign, Wide{x.mantissa} * y.mantissa, x.exponent + y.exponent, false);
}

Bits add(Bits a, Bits b) {
  if (magnitude(a) < magnitude(b)) std::swap(a, b);
  if (is_nan(a)) return kNan;
  if (!is_finite(a)) return b == (a ^ kSign) ? kNan : a;
  const Exact x = exact(a), y = exact(b);
  // Further than 64 places below a normal x, only that y is there matters to the rounding, not how large it is.
  constexpr int kFar = 64;
  const int lift = x.exponent - y.exponent;
  const Int large = Int{x.mantissa} << std::min(lift, kFar);
  const Int small = lift > kFar ? Int{y.mantissa != 0} : Int{y.mantissa};
  const bool alike = ((a ^ b) & kSign) == 0;
  const Int sum = alike ? large + small : large - small;  // in units of a's sign
  const Bits sign = sum == 0 ? a & b & kSign : a & kSign;
  return round_to_f32(sign, static_cast<Wide>(sum), x.exponent - std::min(lift, kFar), false);
}

Bits reciprocal(Bits positive) {
  const Exact x = exact(positive);
  const Wide one = Wide{1} << 64;
  return round_to_f32(0, one / x.mantissa, -64 - x.exponent, one % x.mantissa != 0);
}

// a / b as a constant of the numerics: rounded to float64 (53 bits), and that to f32. For a <= 2 and b < 2^48.
Bits constant(uint64_t a, uint64_t b) {
  constexpr int kUp = 110;
  const Wide shifted = Wide{a} << kUp, quotient = shifted / b;
  const int drop = bit_length(quotient) - 53;
  return round_to_f32(0, shift_to_nearest(quotient, drop, shifted % b != 0), drop - kUp, false);
}

Bits from_integer(Int value) {
  return round_to_f32(value < 0 ? kSign : 0, static_cast<Wide>(value < 0 ? -value : value), 0, false);
}

// --- The tree sum, of non-negative values only: then padding with +0 changes nothing and can be left out -------------

// Seen from its root, the tree of a segment has at each node the lanes lane, lane + stride, lane + 2 * stride, …
Bits lane_sum(std::span<const Bits> segment, size_t lane, size_t stride) {
  if (lane >= segment.size()) return 0;
  if (stride < 256) {
    return add(lane_sum(segment, lane, 2 * stride), lane_sum(segment, lane + stride, 2 * stride));
  }
  Bits sum = segment[lane];
  for (size_t i = lane + 256; i < segment.size(); i += 256) sum = add(sum, segment[i]);
  return sum;
}

Bits treesum(std::span<const Bits> x) {
  if (x.size() <= 4096) return lane_sum(x, 0, 1);
  std::vector<Bits> sums;
  while (!x.empty()) sums.push_back(lane_sum(take(x, 4096), 0, 1));
  return treesum(sums);
}

// --- Groups: what shares one scale -----------------------------------------------------------------------------------

struct Format {
  std::string_view name;
  int stored_bits;
  int32_t low, high;  // high is qmax
};
constexpr Format kInt8 = {"int8", 8, -127, 127}, kInt4 = {"int4", 8, -7, 7}, kUint8 = {"uint8", 8, 0, 255};
constexpr Format kTernary = {"ternary", 2, -1, 1}, kBinary = {"binary", 1, -1, 1};
constexpr std::array kActivationFormats = {kInt8, kInt4, kUint8};
constexpr std::array kWeightFormats = {kInt8, kTernary, kBinary};  // also the encodings of rho

const Format& find(const std::array<Format, 3>& formats, std::string_view name) {
  const auto* found = std::ranges::find(formats, name, &Format::name);
  if (found == formats.end()) fail("no such format here: " + std::string(name));
  return *found;
}

// Of the finite values of one group; NaN where their sum overflows.
Bits scale_of(std::span<const Bits> x, const Format& format, std::string_view rule) {
  std::vector<Bits> sizes;
  for (const Bits v : x) sizes.push_back(format.low == 0 && (v & kSign) != 0 ? 0 : magnitude(v));
  const auto n = static_cast<uint64_t>(x.size()), qmax = static_cast<uint64_t>(format.high);
  Bits factor = constant(1, n);
  if (format.stored_bits == 8) {
    if (rule == "absmax") return std::max(multiply(*std::ranges::max_element(sizes), constant(1, qmax)), kEps);
    if (rule != "absmean") fail("no such rule: " + std::string(rule));
    factor = constant(2, qmax * n);
  }
  const Bits sum = treesum(sizes);
  return is_finite(sum) ? std::max(multiply(sum, factor), kEps) : kNan;
}

int32_t code_of(Bits x, Bits scale, Bits inverse, const Format& format) {
  const bool negative = (x & kSign) != 0 && x != kSign;  // -0 counts as >= 0
  if (format.stored_bits == 1) return negative ? -1 : 1;
  if (format.stored_bits == 2) return magnitude(x) < scale ? 0 : negative ? -1 : 1;
  if (negative && format.low == 0) return 0;
  // Two roundings, as defined: the product to f32, then that to an integer. A product of 2^24 or more is not shifted
  // up: its mantissa alone is past every qmax.
  const Exact product = exact(multiply(x, inverse));
  const Wide size = shift_to_nearest(product.mantissa, std::max(-product.exponent, 0), false);
  const auto code = static_cast<int32_t>(std::min<Wide>(size, static_cast<Wide>(format.high)));
  return negative ? -code : code;
}

struct Group {
  Bits scale;
  std::vector<int32_t> codes;
};

Group encode(std::span<const Bits> x, const Format& format, std::string_view rule) {
  const bool finite = std::ranges::all_of(x, is_finite);
  Group group = {finite ? scale_of(x, format, rule) : kNan, {}};
  if (is_nan(group.scale)) {
    group.codes.assign(x.size(), format.stored_bits == 1 ? -1 : 0);
    return group;
  }
  const Bits inverse = reciprocal(group.scale);
  for (const Bits v : x) group.codes.push_back(code_of(v, group.scale, inverse, format));
  return group;
}

// Every way of grouping is one: see the tensor as [B, H, T, l] and let a (b, t) own its (h, i), in that order.
struct Grouping {
  int64_t B, H, T, l;
};

Grouping grouping_of(const std::vector<int64_t>& shape, size_t size, std::string_view group) {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  require(!shape.empty() && count > 0 && static_cast<size_t>(count) == size, "the shape is empty or not the tensor's");
  const size_t rank = shape.size();
  if (group == "per_tensor") return {1, 1, 1, count};
  if (group == "per_token") return {count / shape[rank - 1], 1, 1, shape[rank - 1]};
  if (group == "per_token_all_heads" && rank == 4) return {shape[0], shape[1], shape[2], shape[3]};
  if (group != "per_channel" || rank < 2) fail("no such group for this shape: " + std::string(group));
  const int64_t K = shape[rank - 2], N = shape[rank - 1];
  return {count / (K * N), K, N, 1};
}

Codes encode_groups(std::span<const float> x, const Grouping& g, const Format& format, std::string_view rule) {
  Codes result = {std::vector<int32_t>(x.size()), {}};
  for (int64_t b = 0; b < g.B; ++b) {
    for (int64_t t = 0; t < g.T; ++t) {
      std::vector<int64_t> members;
      for (int64_t h = 0; h < g.H; ++h) {
        for (int64_t i = 0; i < g.l; ++i) members.push_back(((b * g.H + h) * g.T + t) * g.l + i);
      }
      std::vector<Bits> values;
      for (const int64_t at : members) values.push_back(to_bits(x[at]));
      const Group group = encode(values, format, rule);
      result.scales.push_back(to_float(group.scale));
      for (size_t k = 0; k < members.size(); ++k) result.codes[members[k]] = group.codes[k];
    }
  }
  return result;
}

// --- Codes as stored -------------------------------------------------------------------------------------------------

uint8_t field_of(int32_t code, int bits) {
  const int field = bits == 8 ? code : bits == 2 ? code + 1 : (code + 1) / 2;
  return static_cast<uint8_t>(field);
}

int32_t code_of_field(int field, int bits) {
  if (bits == 8) return field < 128 ? field : field - 256;
  return bits == 2 ? field - 1 : 2 * field - 1;
}

// Appends the codes, beginning on a byte of their own.
void store(std::vector<uint8_t>& bytes, std::span<const int32_t> codes, int bits) {
  for (size_t i = 0; i < codes.size(); ++i) {
    const size_t shift = i * bits % 8;
    if (shift == 0) bytes.push_back(0);
    bytes.back() = static_cast<uint8_t>(bytes.back() | field_of(codes[i], bits) << shift);
  }
}

// --- Projections -----------------------------------------------------------------------------------------------------

Bits shared_or_own(const std::vector<float>& scales, size_t i) { return to_bits(scales[scales.size() == 1 ? 0 : i]); }

void require_sizes(const Codes& x, size_t values, size_t groups) {
  require(values > 0 && x.codes.size() == values, "the codes do not fit the shape");
  require(x.scales.size() == 1 || x.scales.size() == groups, "the scales do not fit the shape");
}

}  // namespace

// --- Operations ------------------------------------------------------------------------------------------------------

Codes quantize(std::span<const float> x, const std::vector<int64_t>& shape, std::string_view format,
               std::string_view rule, std::string_view group) {
  require(group != "per_channel", "per_channel is for weights");
  return encode_groups(x, grouping_of(shape, x.size(), group), find(kActivationFormats, format), rule);
}

std::vector<uint32_t> pack_words(std::span<const int32_t> codes, int64_t row_length) {
  require(row_length > 0 && !codes.empty() && codes.size() % row_length == 0, "codes are not whole rows");
  std::vector<uint32_t> words;
  for (size_t i = 0; i < codes.size(); ++i) {
    const size_t lane = i % row_length % 4;
    if (lane == 0) words.push_back(0);
    words.back() |= static_cast<uint32_t>(codes[i] & 0xff) << (8 * lane);
  }
  return words;
}

Weight pack_weight(std::span<const float> w, const std::vector<int64_t>& shape, std::string_view format,
                   std::string_view rule, std::string_view group) {
  require(group == "per_channel" || group == "per_tensor", "no such group for weights");
  const Grouping grouping = grouping_of(shape, w.size(), group);
  const Format& stored = find(kWeightFormats, format);
  const auto bad = std::ranges::find_if(w, [](float v) { return !is_finite(to_bits(v)); });
  if (bad != w.end()) fail("w[" + std::to_string(bad - w.begin()) + "] is not finite");
  const Codes coded = encode_groups(w, grouping, stored, rule);
  for (const float scale : coded.scales) require(!is_nan(to_bits(scale)), "a sum of weights overflows");
  Weight weight = {coded.codes, coded.scales, {}};
  store(weight.packed, weight.codes, stored.stored_bits);
  return weight;
}

std::vector<float> lowrank_projection(const Codes& a, const Weight& w, const LowrankShape& s,
                                      std::optional<float> threshold) {
  require((s.Hi == 1 || s.Hi == s.H) && s.Lo > 0 && s.Lo <= s.L, "Hi or Lo does not fit");
  require_sizes(a, s.B * s.Hi * s.T * s.E, s.B * s.Hi * s.T);
  require_sizes({w.codes, w.scales}, s.H * s.E * s.L, s.H * s.L);
  std::vector<float> out;
  for (int64_t bht = 0; bht < s.B * s.H * s.T; ++bht) {
    const int64_t b = bht / (s.H * s.T), h = bht / s.T % s.H, t = bht % s.T;
    const int64_t row = (b * s.Hi + (s.Hi == 1 ? 0 : h)) * s.T + t;
    for (int64_t l = 0; l < s.Lo; ++l) {
      Int sum = 0;
      for (int64_t e = 0; e < s.E; ++e) sum += Int{a.codes[row * s.E + e]} * w.codes[(h * s.E + e) * s.L + l];
      const Bits m = multiply(shared_or_own(a.scales, row), shared_or_own(w.scales, h * s.L + l));
      Bits value = multiply(from_integer(sum), m);
      if (threshold) {
        value = add(value, to_bits(*threshold) ^ kSign);
        if (!is_nan(value) && (value & kSign) != 0) value = 0;
      }
      out.push_back(to_float(value));
    }
  }
  return out;
}

std::vector<float> decoder_tail(const Codes& y, const Weight& w, const TailShape& s) {
  require(s.l <= s.L, "l does not fit");
  require_sizes(y, s.B * s.H * s.T * s.l, s.B * s.T);
  require_sizes({w.codes, w.scales}, s.H * s.L * s.D, s.D);
  std::vector<float> out;
  for (int64_t bt = 0; bt < s.B * s.T; ++bt) {
    const int64_t b = bt / s.T, t = bt % s.T;
    for (int64_t d = 0; d < s.D; ++d) {
      Int sum = 0;
      for (int64_t h = 0; h < s.H; ++h) {
        const int32_t* token = y.codes.data() + ((b * s.H + h) * s.T + t) * s.l;
        for (int64_t i = 0; i < s.l; ++i) sum += Int{token[i]} * w.codes[(h * s.L + i) * s.D + d];
      }
      const Bits m = multiply(shared_or_own(y.scales, bt), shared_or_own(w.scales, d));
      out.push_back(to_float(multiply(from_integer(sum), m)));
    }
  }
  return out;
}

Blocks rho_compress(std::span<const float> x, std::string_view encoding) {
  require(!x.empty(), "nothing to compress");
  const Format& format = find(kWeightFormats, encoding);
  Blocks blocks;
  while (!x.empty()) {
    std::vector<Bits> values;
    for (const float v : take(x, 32)) values.push_back(to_bits(v));
    const Group group = encode(values, format, "absmax");
    blocks.scales.push_back(to_float(group.scale));
    store(blocks.packed, group.codes, format.stored_bits);
  }
  return blocks;
}

std::vector<float> rho_expand(const Blocks& blocks, int64_t n, std::string_view encoding) {
  require(n > 0, "nothing to expand");
  const int bits = find(kWeightFormats, encoding).stored_bits;
  const auto bad = [](int64_t block, const char* why) { fail("block " + std::to_string(block) + why); };
  std::span<const uint8_t> packed = blocks.packed;
  std::span<const float> scales = blocks.scales;
  std::vector<float> out;
  const int64_t count = (n + 31) / 32;
  for (int64_t block = 0; block < count; ++block) {
    const int used = static_cast<int>(std::min<int64_t>(n - 32 * block, 32)) * bits;
    const auto bytes = take(packed, (used + 7) / 8);
    const auto scale = take(scales, 1);
    if (8 * bytes.size() < static_cast<size_t>(used) || scale.empty()) bad(block, " is missing or cut short");
    for (int bit = 0; bit < used; bit += bits) {
      const int field = bytes[bit / 8] >> bit % 8 & ((1 << bits) - 1);
      if (bits == 2 && field == 3) bad(block, " holds a ternary code 3");
      out.push_back(to_float(multiply(from_integer(code_of_field(field, bits)), to_bits(scale[0]))));
    }
  }
  if (!packed.empty() || !scales.empty()) bad(count, " is one too many");
  return out;
}

}  // namespace oracle
