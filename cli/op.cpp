// lowbit op: one operation on .npy files, the way to check a backend from any language.
#include <fmt/format.h>

#include "commands.h"
#include "formats/npy.h"
#include "options.h"

namespace cli {
namespace {

using lowbit::formats::FileError;
using lowbit::formats::Npy;

constexpr bdh::Name<lowbit_format> kFormats[] = {{"int8", LOWBIT_INT8}, {"int4", LOWBIT_INT4}, {"uint8", LOWBIT_UINT8}};
constexpr bdh::Name<lowbit_format> kInputFormats[] = {
    {"int8", LOWBIT_INT8}, {"int4", LOWBIT_INT4}, {"uint8", LOWBIT_UINT8}, {"f32", LOWBIT_F32}};
constexpr bdh::Name<lowbit_group> kGroups[] = {{"per_tensor", LOWBIT_PER_TENSOR}, {"per_token", LOWBIT_PER_TOKEN}};

struct Options {
  std::string input, weight, packed, scales, output;
  lowbit_format format = LOWBIT_INT8, weight_format = LOWBIT_INT8, encoding = LOWBIT_INT8;
  lowbit_rule rule = LOWBIT_ABSMAX, weight_rule = LOWBIT_ABSMAX;
  lowbit_group group = LOWBIT_PER_TENSOR, weight_group = LOWBIT_PER_CHANNEL;
  std::optional<int64_t> latent;
  std::optional<float> threshold;
  std::vector<int64_t> shape;
  BackendOption backend;
};

const char* dtype_of(lowbit_type type) {
  return type == LOWBIT_TYPE_U8 ? "|u1" : type == LOWBIT_TYPE_I32 ? "<i4" : "<f4";
}

// An array in a file: its logical shape, and its bytes on the device.
class Array {
 public:
  // `axes` says what the shape must be; its rank is `rank`, where that is not 0.
  static Array read(const lowbit::Device& device, const lowbit::Stream& stream, const std::string& path,
                    lowbit_type type, const char* axes, size_t rank = 0) {
    const Npy npy = lowbit::formats::read_npy(path, dtype_of(type));
    if (npy.bytes.empty() || npy.shape.empty() || (rank != 0 && npy.shape.size() != rank)) {
      throw FileError(fmt::format("{}: shape is {}, it must be {} with no axis of 0", path,
                                  lowbit::formats::shape_text(npy.shape), axes));
    }
    Array array(device, npy.shape, type);
    stream.upload(array.buffer_, npy.bytes);
    stream.synchronize();
    return array;
  }
  Array(const lowbit::Device& device, std::vector<int64_t> shape, lowbit_type type)
      : shape_(std::move(shape)), type_(type), buffer_(device, size_of(shape_, type)) {}

  const std::vector<int64_t>& shape() const { return shape_; }
  lowbit_type type() const { return type_; }
  int64_t count() const { return count_of(shape_); }

  // As it is; with more than four axes the leading ones are joined, which changes no operation that takes any rank.
  lowbit_tensor tensor() const {
    std::vector<int64_t> shape = shape_;
    if (shape.size() > 4) shape = {count() / shape_.back(), shape_.back()};
    lowbit_tensor t = lowbit::tensor(buffer_.data(), type_, shape);
    t.size = buffer_.size();
    return t;
  }

  std::vector<std::byte> bytes(const lowbit::Stream& stream) const {
    std::vector<std::byte> bytes(size_of(shape_, type_));
    stream.download(bytes, buffer_);
    return bytes;
  }

 private:
  static int64_t count_of(const std::vector<int64_t>& shape) {
    int64_t count = 1;
    for (int64_t axis : shape) {
      if (axis < 1 || __builtin_mul_overflow(count, axis, &count) || count > int64_t{1} << 48) {
        throw FileError("shape " + lowbit::formats::shape_text(shape) +
                        " must have axes of at least 1 and at most 2^48 values");
      }
    }
    return count;
  }
  static uint64_t size_of(const std::vector<int64_t>& shape, lowbit_type type) {
    return static_cast<uint64_t>(count_of(shape)) * (type == LOWBIT_TYPE_U8 ? 1 : 4);
  }

  std::vector<int64_t> shape_;
  lowbit_type type_;
  lowbit::Buffer buffer_;
};

void write_npy(const lowbit::Stream& stream,
               std::initializer_list<std::pair<const std::string*, const Array*>> arrays) {
  lowbit::formats::AtomicFiles files;
  for (const auto& [path, array] : arrays) {
    files.add(*path, lowbit::formats::npy_bytes(dtype_of(array->type()), array->shape(), array->bytes(stream)));
  }
  files.commit();
}

void quantize(const Options& o) {
  const lowbit::Device device = o.backend.open();
  const lowbit::Stream stream(device);
  const Array input = Array::read(device, stream, o.input, LOWBIT_TYPE_F32, "[..., n]");
  std::vector<int64_t> shape = input.shape();
  const int64_t n = shape.back();
  shape.back() = (n + 3) / 4;
  const Array packed(device, shape, LOWBIT_TYPE_I32);
  const Array scales(device, {o.group == LOWBIT_PER_TENSOR ? 1 : input.count() / n}, LOWBIT_TYPE_F32);
  lowbit::quantize_pack(stream, {.format = o.format,
                                 .rule = o.rule,
                                 .group = o.group,
                                 .input = input.tensor(),
                                 .codes = packed.tensor(),
                                 .scales = scales.tensor()});
  write_npy(stream, {{&o.packed, &packed}, {&o.scales, &scales}});
}

// A weight file, packed by the definition.
class WeightFile {
 public:
  WeightFile(const Options& o, size_t rank, const char* axes)
      : o_(o),
        device_(lowbit::Device::open({.backend = "reference"})),
        stream_(device_),
        values_(Array::read(device_, stream_, o.weight, LOWBIT_TYPE_F32, axes, rank)) {}

  const std::vector<int64_t>& shape() const { return values_.shape(); }

  // H matrices of K x N, on `device`.
  lowbit::Weight prepare(const lowbit::Device& device, lowbit_operation operation, int64_t H, int64_t K,
                         int64_t N) const {
    const auto count = static_cast<uint64_t>(values_.count());
    const int64_t channels = values_.count() / shape()[shape().size() - 2];
    const Array packed(device_, {static_cast<int64_t>(lowbit_packed_weight_size(o_.weight_format, count))},
                       LOWBIT_TYPE_U8);
    const Array scales(device_, {o_.weight_group == LOWBIT_PER_TENSOR ? 1 : channels}, LOWBIT_TYPE_F32);
    lowbit::pack_weight(stream_, {.format = o_.weight_format,
                                  .rule = o_.weight_rule,
                                  .group = o_.weight_group,
                                  .input = values_.tensor(),
                                  .packed = packed.tensor(),
                                  .scales = scales.tensor()});
    const std::vector<std::byte> packed_bytes = packed.bytes(stream_), scale_bytes = scales.bytes(stream_);
    return {device,
            {.operation = operation,
             .format = o_.weight_format,
             .heads = H,
             .rows = K,
             .columns = N,
             .packed = packed_bytes.data(),
             .packed_size = packed_bytes.size(),
             .scales = reinterpret_cast<const float*>(scale_bytes.data()),
             .scale_count = scale_bytes.size() / sizeof(float)}};
  }

 private:
  const Options& o_;
  lowbit::Device device_;
  lowbit::Stream stream_;
  Array values_;
};

lowbit_activations activations(const Options& o, const Array& input) {
  return {.values = input.tensor(), .format = o.format, .rule = o.rule, .group = o.group};
}

void lowrank(const Options& o) {
  const lowbit::Device device = o.backend.open();
  const lowbit::Stream stream(device);
  const Array input = Array::read(device, stream, o.input, LOWBIT_TYPE_F32, "[B, Hi, T, E]", 4);
  const WeightFile file(o, 3, "[H, E, L]");
  const int64_t B = input.shape()[0], T = input.shape()[2], H = file.shape()[0], E = file.shape()[1],
                L = file.shape()[2];
  if (o.latent.value_or(1) > L)
    throw CLI::ValidationError(fmt::format("--latent is {}, it may be 1 to {}", *o.latent, L));
  const lowbit::Weight weight = file.prepare(device, LOWBIT_LOWRANK_PROJECTION, H, E, L);
  const Array output(device, {B, H, T, o.latent.value_or(L)}, LOWBIT_TYPE_F32);
  lowbit::lowrank_projection(stream, {.use_threshold = o.threshold.has_value(),
                                      .threshold = o.threshold.value_or(0),
                                      .input = activations(o, input),
                                      .weight = weight.get(),
                                      .output = output.tensor()});
  write_npy(stream, {{&o.output, &output}});
}

void tail(const Options& o) {
  const lowbit::Device device = o.backend.open();
  const lowbit::Stream stream(device);
  const Array input = Array::read(device, stream, o.input, LOWBIT_TYPE_F32, "[B, H, T, l]", 4);
  const WeightFile file(o, 2, "[H*L, D]");
  const int64_t B = input.shape()[0], H = input.shape()[1], T = input.shape()[2], D = file.shape()[1];
  if (file.shape()[0] % H != 0) {
    throw FileError(fmt::format("{}: shape is {}, its first axis must be a multiple of the input's {} heads", o.weight,
                                lowbit::formats::shape_text(file.shape()), H));
  }
  const lowbit::Weight weight = file.prepare(device, LOWBIT_DECODER_TAIL, H, file.shape()[0] / H, D);
  const Array output(device, {B, 1, T, D}, LOWBIT_TYPE_F32);
  lowbit::decoder_tail(stream, {.input = activations(o, input), .weight = weight.get(), .output = output.tensor()});
  write_npy(stream, {{&o.output, &output}});
}

void rho_compress(const Options& o) {
  const lowbit::Device device = o.backend.open();
  const lowbit::Stream stream(device);
  const Array input = Array::read(device, stream, o.input, LOWBIT_TYPE_F32, "[..., n]");
  const auto n = static_cast<uint64_t>(input.count());
  const Array packed(device, {static_cast<int64_t>(lowbit_rho_packed_size(o.encoding, n))}, LOWBIT_TYPE_U8);
  const Array scales(device, {static_cast<int64_t>(lowbit_rho_block_count(n))}, LOWBIT_TYPE_F32);
  lowbit::rho_compress(
      stream, {.encoding = o.encoding, .input = input.tensor(), .packed = packed.tensor(), .scales = scales.tensor()});
  write_npy(stream, {{&o.packed, &packed}, {&o.scales, &scales}});
}

void rho_expand(const Options& o) {
  const lowbit::Device device = o.backend.open();
  const lowbit::Stream stream(device);
  const Array packed = Array::read(device, stream, o.packed, LOWBIT_TYPE_U8, "[bytes]");
  const Array scales = Array::read(device, stream, o.scales, LOWBIT_TYPE_F32, "[blocks]");
  const Array output(device, o.shape, LOWBIT_TYPE_F32);
  lowbit::rho_expand(
      stream,
      {.encoding = o.encoding, .packed = packed.tensor(), .scales = scales.tensor(), .output = output.tensor()});
  write_npy(stream, {{&o.output, &output}});
}

}  // namespace

void add_op(CLI::App& program) {
  CLI::App* op = program.add_subcommand("op", "Run one operation on .npy files");
  op->require_subcommand(1);
  op->footer(
      "Floats are float32, code words int32, packed bytes uint8. What each operation computes: docs/numerics.md.");
  const auto add = [op](const char* name, const char* help, auto run) {
    auto o = std::make_shared<Options>();
    CLI::App* command = op->add_subcommand(name, help);
    o->backend.add(command);
    command->callback([o, run] { run(*o); });
    return std::pair(command, o.get());
  };
  const auto add_file = [](CLI::App* command, const char* flag, std::string& path, const char* help) {
    command->add_option(flag, path, help)->required()->type_name("NPY");
  };
  const auto add_activations = [](CLI::App* command, Options& o, const auto& formats) {
    add_choice(command, "--format", o.format, formats, "format of the activations (default int8)");
    add_choice(command, "--rule", o.rule, bdh::kRules, "their scale (default absmax)");
    add_choice(command, "--group", o.group, kGroups, "what shares it (default per_tensor)");
  };
  const auto add_weight = [&](CLI::App* command, Options& o, const char* axes) {
    add_file(command, "--weight", o.weight, axes);
    add_choice(command, "--weight-format", o.weight_format, bdh::kPackedFormats,
               "format of the weights (default int8)");
    add_choice(command, "--weight-rule", o.weight_rule, bdh::kRules, "scale of int8 weights (default absmax)");
    add_choice(command, "--weight-group", o.weight_group, bdh::kWeightGroups, "what shares it (default per_channel)");
  };
  const auto add_encoding = [](CLI::App* command, Options& o) {
    add_choice(command, "--encoding", o.encoding, bdh::kPackedFormats, "format of the codes (default int8)");
  };
  {
    auto [command, o] = add("quantize", "Quantise floats into packed codes and scales", quantize);
    add_file(command, "--input", o->input, "float32 [..., n]");
    add_file(command, "--packed", o->packed, "to write: int32 [..., ceil(n/4)]");
    add_file(command, "--scales", o->scales, "to write: float32 [1] or one a row");
    add_activations(command, *o, kFormats);
  }
  {
    auto [command, o] = add("lowrank", "Low-rank projection of floats, quantised on the way", lowrank);
    add_file(command, "--input", o->input, "float32 [B, Hi, T, E], Hi 1 or H");
    add_weight(command, *o, "float32 [H, E, L]");
    add_file(command, "--output", o->output, "to write: float32 [B, H, T, latent]");
    add_activations(command, *o, kInputFormats);
    command->add_option("--latent", o->latent, "compute the first so many outputs (default L)")
        ->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
    command->add_option("--threshold", o->threshold, "max(out - threshold, 0); 0 is ReLU (default: none)");
  }
  {
    auto [command, o] = add("tail", "Decoder tail of floats, quantised on the way", tail);
    add_file(command, "--input", o->input, "float32 [B, H, T, l]");
    add_weight(command, *o, "float32 [H*L, D]");
    add_file(command, "--output", o->output, "to write: float32 [B, 1, T, D]");
    add_activations(command, *o, kInputFormats);
  }
  {
    auto [command, o] = add("rho-compress", "Compress a float tensor in blocks of 32", rho_compress);
    add_file(command, "--input", o->input, "float32, any shape");
    add_file(command, "--packed", o->packed, "to write: uint8");
    add_file(command, "--scales", o->scales, "to write: float32, one a block");
    add_encoding(command, *o);
  }
  {
    auto [command, o] = add("rho-expand", "Expand what rho-compress made", rho_expand);
    add_file(command, "--packed", o->packed, "uint8");
    add_file(command, "--scales", o->scales, "float32, one a block");
    add_file(command, "--output", o->output, "to write: float32 of --shape");
    command->add_option("--shape", o->shape, "shape of the output, such as 1,3,1,67")
        ->required()
        ->delimiter(',')
        ->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
    add_encoding(command, *o);
  }
}

}  // namespace cli
