#include "guard_samples.h"

#include <cfloat>
#include <cstring>
#include <utility>

#include "float_environment.h"
#include "guard.h"
#include "reference/kernels.h"
#include "reference/projection.h"

namespace lowbit::core {
namespace {

// ---- Operands, in device memory and where the host reads them -------------------------------------------------------

// `count` elements of a row, from `first` on.
MemoryRows elements(const Tensor& tensor, int64_t row_index, int64_t first, int64_t count) {
  const auto size = static_cast<size_t>(element_size(tensor.type));
  return {tensor.data, tensor.offset + static_cast<uint64_t>(row_index * tensor.row_stride + first) * size,
          static_cast<size_t>(count) * size, 0, 1};
}

// Adds `count` elements of the flattened tensor, from `first` on: a piece of each row that they lie in.
void add_flat(const Tensor& tensor, int64_t first, int64_t count, std::vector<MemoryRows>* operands) {
  const int64_t length = row_length(tensor);
  if (tensor.row_stride == length) return operands->push_back(elements(tensor, 0, first, count));
  for (int64_t end = first + count; first < end;) {
    const int64_t part = std::min(end - first, length - first % length);
    operands->push_back(elements(tensor, first / length, first % length, part));
    first += part;
  }
}

const std::byte* first_byte(const MemoryRows& rows) { return static_cast<const std::byte*>(rows.data) + rows.offset; }

template <typename T>
T read(const MemoryRows& rows, int64_t index = 0) {
  T value;
  std::memcpy(&value, first_byte(rows) + static_cast<size_t>(index) * sizeof(T), sizeof(T));
  return value;
}

// What add_flat() added, put together again: operands from `at` on.
std::vector<float> joined(const std::vector<MemoryRows>& operands, size_t at) {
  std::vector<float> values;
  for (; at < operands.size(); ++at) {
    const int64_t count = static_cast<int64_t>(operands[at].size / sizeof(float));
    for (int64_t i = 0; i < count; ++i) values.push_back(read<float>(operands[at], i));
  }
  return values;
}

// A tensor of one row in the host's memory.
Tensor host_row(lowbit_type type, const void* data, int64_t count) {
  return {.data = const_cast<void*>(data), .shape = {count}, .row_stride = count, .rank = 1, .type = type};
}

// ---- Differences -----------------------------------------------------------------------------------------------------

uint32_t word_of(float value) { return std::isnan(value) ? LOWBIT_NAN_BITS : std::bit_cast<uint32_t>(value); }

std::optional<Mismatch> difference(int64_t word, uint32_t got, uint32_t expected) {
  if (got == expected) return {};
  return Mismatch{word, got, expected};
}

// Of packed bytes; `word` is that of the first.
std::optional<Mismatch> difference(int64_t word, const std::byte* got, const uint8_t* expected, size_t size) {
  for (size_t at = 0; at < size; at += 4) {
    uint32_t words[2] = {};
    std::memcpy(&words[0], got + at, std::min<size_t>(4, size - at));
    std::memcpy(&words[1], expected + at, std::min<size_t>(4, size - at));
    if (const auto found = difference(word + static_cast<int64_t>(at / 4), words[0], words[1])) return found;
  }
  return {};
}

int64_t words_of_packed(const Tensor& packed) { return ceil_div(row_count(packed) * row_length(packed), 4); }

// ---- Operations: how many outputs, and the sample of one -------------------------------------------------------------

// An output is a word of codes. Its scale is computed again where the group is the word's row; else the codes have to be
// those of the scale that the kernel gave.
int64_t output_count(const QuantizePack& op) { return row_count(op.codes) * row_length(op.codes); }
Sample sample_of(const QuantizePack& op, int64_t output) {
  const int64_t n = row_length(op.input), words = row_length(op.codes), row_index = output / words;
  const int64_t first = output % words * LOWBIT_CODES_PER_WORD, count = std::min<int64_t>(4, n - first);
  const RowGroups& g = op.groups;
  const int64_t group = row_index / (g.rows * g.tokens) * g.tokens + row_index % g.tokens;
  const bool has_group = g.rows == 1;
  const auto compare = [=, format = op.format, rule = op.rule, outputs = output_count(op)](
                           Stream&, const std::vector<MemoryRows>& at) -> std::optional<Mismatch> {
    const auto scale = read<float>(at[1]);
    const auto value = [&](int64_t i) { return read<float>(at[2], i); };
    if (has_group) {
      const float expected = reference::group_scale(n, format, rule, value);
      if (const auto found = difference(outputs + group, word_of(scale), word_of(expected))) return found;
    }
    uint32_t codes = 0;
    for (int64_t i = 0; i < count; ++i) {
      const int code = reference::quantized_code(value(has_group ? first + i : i), 1.0f / scale, format);
      codes |= static_cast<uint32_t>(code & 0xff) << (8 * i);
    }
    return difference(output, read<uint32_t>(at[0]), codes);
  };
  return {{elements(op.codes, row_index, output % words, 1), elements(op.scales, 0, group, 1),
           has_group ? elements(op.input, row_index, 0, n) : elements(op.input, row_index, first, count)},
          compare};
}

// An output is a code, and with it those of its word and row; they have to be those of the scale that the kernel gave.
int64_t output_count(const PackWeight& op) { return op.matrices * op.K * op.N; }
Sample sample_of(const PackWeight& op, int64_t output) {
  const int64_t of_word = word_codes(op.format), row_index = output / op.N, word = output / of_word;
  const int64_t size = std::min<int64_t>(4, row_length(op.packed) * row_count(op.packed) - 4 * word);
  const int64_t first = std::max(word * of_word, row_index * op.N);
  const int64_t count = std::min((word + 1) * of_word, (row_index + 1) * op.N) - first;
  const auto compare = [=, format = op.format, per_channel = op.per_channel](
                           Stream&, const std::vector<MemoryRows>& at) -> std::optional<Mismatch> {
    uint8_t got[4] = {}, expected[4] = {};
    std::memcpy(got, first_byte(at[0]), static_cast<size_t>(size));
    for (int64_t i = 0; i < size * codes_per_byte(format); ++i) {
      const int64_t j = word * of_word + i - first;
      const int code = j < 0 || j >= count ? packed_code(got, format, i)
                                           : reference::weight_code(read<float>(at[1], j),
                                                                    read<float>(at[2], per_channel ? j : 0), format);
      put_packed_code(expected, format, i, code);
    }
    return difference(word, first_byte(at[0]), expected, static_cast<size_t>(size));
  };
  const int64_t channel = op.per_channel ? row_index / op.K * op.N + first % op.N : 0;
  return {{elements(op.packed, 0, 4 * word, size), elements(op.input, row_index, first % op.N, count),
           elements(op.scales, 0, channel, op.per_channel ? count : 1)},
          compare};
}

// The sum behind an output of a projection: `heads` rows of activations, `pitch` rows apart, times a column of as many
// matrices of weights.
struct Sum {
  int64_t row, pitch, group;
  int64_t matrix, column, heads, depth;
};

// Whether `got` is within what docs/numerics.md allows the class `bounded`. Sums that may overflow are not judged.
bool is_within_bound(float got, double sum, double magnitude, double count, double scale,
                     std::optional<float> threshold) {
  double wanted = sum * scale, bound = 4 * count * 0x1p-24 * magnitude * std::fabs(scale) + 0x1p-148;
  if (!(magnitude <= FLT_MAX && std::fabs(wanted) + bound <= FLT_MAX)) return true;
  if (threshold) {
    wanted -= *threshold;
    bound += 4 * 0x1p-24 * std::fabs(wanted);
    wanted = std::max(wanted, 0.0);
  }
  return !(std::fabs(wanted) <= FLT_MAX) || std::fabs(got - wanted) <= bound;
}

Sample sample_of_sum(const Sum& sum, const ActivationOperand& input, const Weight& weight, const Tensor& output,
                     int64_t index, std::optional<float> threshold) {
  const bool has_floats = input.format == LOWBIT_F32;
  MemoryRows rows =
      elements(input.values, sum.row, 0, has_floats ? sum.depth : ceil_div(sum.depth, LOWBIT_CODES_PER_WORD));
  rows.pitch = static_cast<size_t>(sum.pitch * input.values.row_stride) * 4;
  rows.count = static_cast<size_t>(sum.heads);
  const int64_t channel = weight.per_channel() ? sum.matrix * weight.shape().N + sum.column : 0;
  const Tensor scales = host_row(LOWBIT_TYPE_F32, weight.scales(), 0);
  std::vector<MemoryRows> operands{elements(output, index / row_length(output), index % row_length(output), 1), rows,
                                   elements(scales, 0, channel, 1)};
  // The host reads weights where they are, whatever their layout; panels of a GPU's are copied whole.
  const bool has_panels = weight.layout() == Layout::panel32;
  const lowbit_format format = weight.format();
  if (has_panels) {
    const int64_t panels = ceil_div(weight.shape().N, kPanel32Columns);
    const auto size = static_cast<size_t>(panel32_bytes(format, weight.shape().K));
    const auto first = static_cast<uint64_t>(sum.matrix * panels + sum.column / kPanel32Columns);
    operands.push_back(
        {weight.packed(), first * size, size, static_cast<size_t>(panels) * size, static_cast<size_t>(sum.heads)});
  }
  const bool has_scales = input.scales.data != nullptr;
  if (has_scales) operands.push_back(elements(input.scales, 0, row_length(input.scales) == 1 ? 0 : sum.group, 1));

  // Of a GPU's weight, which may be gone by then, `compare` has its panels.
  const WeightShape panels{sum.heads, weight.shape().K, kPanel32Columns};
  const auto compare = [=, &weight](Stream&, const std::vector<MemoryRows>& at) -> std::optional<Mismatch> {
    const auto code = [&](int64_t h, int64_t k) {
      if (!has_panels) return weight.code(sum.matrix + h, k, sum.column);
      return packed_code(reinterpret_cast<const uint8_t*>(first_byte(at[3])), format,
                         panel32_index(format, panels, h, k, sum.column % kPanel32Columns));
    };
    ActivationOperand copied = input;
    copied.values = host_row(input.values.type, first_byte(at[1]), sum.depth);
    copied.values.row_stride = static_cast<int64_t>(at[1].pitch / 4);
    reference::Accumulator accumulator(copied);
    double exact = 0, magnitude = 0;
    for (int64_t h = 0; h < sum.heads; ++h) {
      for (int64_t k = 0; k < sum.depth; ++k) {
        const int w = code(h, k);
        accumulator.add(h, k, w);
        if (!has_floats) continue;
        const double term = static_cast<double>(row<float>(copied.values, h)[k]) * w;
        exact += term, magnitude += std::fabs(term);
      }
    }
    const auto got = read<float>(at[0]), weight_scale = read<float>(at[2]);
    const float scale = has_scales ? read<float>(at.back()) : input.scale;
    const float expected =
        reference::thresholded(reference::scaled(accumulator.rounded(), scale, weight_scale), threshold);
    if (has_floats &&
        is_within_bound(got, exact, magnitude, static_cast<double>(sum.heads * sum.depth), weight_scale, threshold)) {
      return {};
    }
    return difference(index, word_of(got), word_of(expected));
  };
  return {std::move(operands), compare};
}

int64_t output_count(const LowrankProjection& op) { return row_count(op.output) * op.Lo; }
Sample sample_of(const LowrankProjection& op, int64_t output) {
  const int64_t row_index = output / op.Lo, t = row_index % op.T, h = row_index / op.T % op.H;
  const int64_t in = (row_index / op.T / op.H * op.Hi + (op.Hi == 1 ? 0 : h)) * op.T + t;
  return sample_of_sum({in, 0, in, h, output % op.Lo, 1, op.E}, op.input, *op.weight, op.output, output, op.threshold);
}

int64_t output_count(const DecoderTail& op) { return row_count(op.output) * op.D; }
Sample sample_of(const DecoderTail& op, int64_t output) {
  const int64_t token = output / op.D, in = token / op.T * op.H * op.T + token % op.T;
  return sample_of_sum({in, op.T, token, 0, output % op.D, op.H, op.l}, op.input, *op.weight, op.output, output, {});
}

// An output is a block, its codes and its scale.
int64_t output_count(const RhoCompress& op) { return ceil_div(op.n, LOWBIT_RHO_BLOCK); }
Sample sample_of(const RhoCompress& op, int64_t block) {
  const int64_t first = block * LOWBIT_RHO_BLOCK, count = std::min<int64_t>(LOWBIT_RHO_BLOCK, op.n - first);
  const int64_t at_byte = first / codes_per_byte(op.encoding), size = packed_size(op.encoding, count);
  const auto compare = [=, encoding = op.encoding, words = words_of_packed(op.packed)](
                           Stream& stream, const std::vector<MemoryRows>& at) -> std::optional<Mismatch> {
    const std::vector<float> values = joined(at, 2);
    uint8_t packed[LOWBIT_RHO_BLOCK];
    float scale = 0;
    if (!reference::rho_compress(
             stream, {host_row(LOWBIT_TYPE_F32, values.data(), count), host_row(LOWBIT_TYPE_U8, packed, size),
                      host_row(LOWBIT_TYPE_F32, &scale, 1), encoding, count})
             .ok()) {
      return {};
    }
    if (const auto found = difference(at_byte / 4, first_byte(at[0]), packed, static_cast<size_t>(size))) return found;
    return difference(words + block, word_of(read<float>(at[1])), word_of(scale));
  };
  Sample sample{{}, compare};
  add_flat(op.packed, at_byte, size, &sample.operands);
  sample.operands.push_back(elements(op.scales, 0, block, 1));
  add_flat(op.input, first, count, &sample.operands);
  return sample;
}

// An output is a block.
int64_t output_count(const RhoExpand& op) { return ceil_div(op.n, LOWBIT_RHO_BLOCK); }
Sample sample_of(const RhoExpand& op, int64_t block) {
  const int64_t first = block * LOWBIT_RHO_BLOCK, count = std::min<int64_t>(LOWBIT_RHO_BLOCK, op.n - first);
  const int64_t size = packed_size(op.encoding, count);
  const auto compare = [=, encoding = op.encoding](Stream& stream,
                                                   const std::vector<MemoryRows>& at) -> std::optional<Mismatch> {
    const std::vector<float> got = joined(at, 2);
    const auto scale = read<float>(at[1]);
    float expected[LOWBIT_RHO_BLOCK];
    if (!reference::rho_expand(stream,
                               {host_row(LOWBIT_TYPE_U8, first_byte(at[0]), size), host_row(LOWBIT_TYPE_F32, &scale, 1),
                                host_row(LOWBIT_TYPE_F32, expected, count), encoding, count})
             .ok()) {
      return {};
    }
    for (int64_t i = 0; i < count; ++i) {
      const auto found = difference(first + i, word_of(got[static_cast<size_t>(i)]), word_of(expected[i]));
      if (found) return found;
    }
    return {};
  };
  Sample sample{{}, compare};
  add_flat(op.packed, first / codes_per_byte(op.encoding), size, &sample.operands);
  sample.operands.push_back(elements(op.scales, 0, block, 1));
  add_flat(op.output, first, count, &sample.operands);
  return sample;
}

}  // namespace

// ---- Taking and telling ----------------------------------------------------------------------------------------------

bool Samples::is_due(const KernelRow& kernel) {
  if (kernel.backend == Backend::reference) return false;
  uint64_t& calls = calls_[&kernel];
  if (calls % kEvery == 0 && stream_.is_capturing()) return false;  // the first call after it is
  return calls++ % kEvery == 0;
}

template <typename Operation>
Status Samples::take(const KernelRow& kernel, const Operation& op) {
  if (!is_due(kernel)) return {};
  const int64_t count = output_count(op);
  LOWBIT_TRY(add(kernel, sample_of(op, 0)));
  if (count > 1) LOWBIT_TRY(add(kernel, sample_of(op, count - 1)));
  if (count <= 2) return {};
  // Another one each time, all over the output: multiples of the golden ratio.
  const uint64_t place = calls_[&kernel] * 0x9e3779b97f4a7c15 >> 16;
  return add(kernel, sample_of(op, 1 + static_cast<int64_t>(place % static_cast<uint64_t>(count - 2))));
}
template Status Samples::take(const KernelRow&, const QuantizePack&);
template Status Samples::take(const KernelRow&, const PackWeight&);
template Status Samples::take(const KernelRow&, const LowrankProjection&);
template Status Samples::take(const KernelRow&, const DecoderTail&);
template Status Samples::take(const KernelRow&, const RhoCompress&);
template Status Samples::take(const KernelRow&, const RhoExpand&);

Status Samples::add(const KernelRow& kernel, Sample sample) {
  size_t size = 0;
  for (const MemoryRows& rows : sample.operands) size += scratch_piece(rows.size * rows.count);
  if (size > kMostBytes || size > Stream::kSampleRoom - used_) return {};
  for (MemoryRows& rows : sample.operands) {
    const size_t at = used_;
    used_ += scratch_piece(rows.size * rows.count);
    LOWBIT_TRY(stream_.fetch(at, &rows));
  }
  taken_.push_back({&kernel, std::move(sample)});
  if (stream_.device().runs_at_once()) settle();  // nothing was copied
  return {};
}

void Samples::settle() {
  const FloatEnvironment environment;
  for (const Taken& taken : taken_) {
    const auto found = taken.sample.compare(stream_, taken.sample.operands);
    if (!found) continue;
    const std::string text = mismatch_text(stream_.device(), *taken.kernel, found->word, found->got, found->expected);
    bar(stream_.device(), *taken.kernel, text);
    if (first_difference_.empty()) first_difference_ = text;
  }
  drop();
}

void Samples::drop() {
  taken_.clear();
  used_ = 0;
}

Status Samples::tell() {
  settle();
  if (first_difference_.empty()) return {};
  return {LOWBIT_INTERNAL, std::exchange(first_difference_, "")};
}

}  // namespace lowbit::core
