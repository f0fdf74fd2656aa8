#include "guard_cases.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <iterator>

#include "weight.h"

namespace lowbit::core {
namespace {

// 7 panels of 8 columns: tiles of 4, 2 and 1. Rows of codes take 48 bytes, so that tensor copies reach them. B is 1: a
// projection's rows are its tokens.
constexpr int64_t B = 1, H = 3, T = 5, K = 45, N = 51;

// Quarters between -8 and 8: exact in every sum, and rich in ties once scaled. Position-dependent, so that a swapped
// index shows.
float sample(int64_t i) {
  const auto hash = static_cast<uint32_t>(i * 2654435761u + 12345u);
  return static_cast<float>(static_cast<int32_t>(hash >> 8) % 65 - 32) * 0.25f;
}

std::vector<float> samples(int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) values[static_cast<size_t>(i)] = sample(i);
  return values;
}

// A device, a stream of its own, and the memory of one case.
class Rig {
 public:
  static Status create(std::shared_ptr<Device> device, Rig* rig) {
    rig->device_ = std::move(device);
    LOWBIT_TRY(rig->device_->create_stream(&rig->stream_));
    rig->stream_->is_measured = false;
    return {};
  }
  Stream& stream() { return *stream_; }
  const std::shared_ptr<Device>& device() { return device_; }

  Status tensor(lowbit_type type, std::initializer_list<int64_t> shape, const void* contents, Tensor* tensor) {
    *tensor = {.rank = static_cast<int32_t>(shape.size()), .type = type};
    std::copy(shape.begin(), shape.end(), tensor->shape);
    tensor->row_stride = row_length(*tensor);
    Memory memory;
    LOWBIT_TRY(Memory::create(device_, size_of(*tensor), &memory));
    tensor->data = memory.data();
    memory_.push_back(std::move(memory));
    if (contents == nullptr) return {};
    LOWBIT_TRY(stream_->copy_to_device(tensor->data, 0, contents, size_of(*tensor)));
    return stream_->synchronize();  // `contents` may be a temporary
  }

  // Appends the tensor's words to `out` once everything before has run. A NaN's sign and payload are free.
  Status read(const Tensor& tensor, std::vector<uint32_t>* out) {
    const size_t words = (size_of(tensor) + 3) / 4, at = out->size();
    out->resize(at + words);
    LOWBIT_TRY(stream_->copy_to_host(out->data() + at, tensor.data, 0, size_of(tensor)));
    LOWBIT_TRY(stream_->synchronize());
    for (size_t i = at; i < out->size() && tensor.type == LOWBIT_TYPE_F32; ++i) {
      if (((*out)[i] & 0x7fffffffu) > LOWBIT_INFINITY_BITS) (*out)[i] = LOWBIT_NAN_BITS;
    }
    return {};
  }

 private:
  static size_t size_of(const Tensor& t) {
    return static_cast<size_t>(row_count(t) * row_length(t)) * (t.type == LOWBIT_TYPE_U8 ? 1 : 4);
  }
  std::shared_ptr<Device> device_;
  std::unique_ptr<Stream> stream_;
  std::vector<Memory> memory_;
};

Status run_quantize_pack(Rig& rig, const KernelRow& kernel, const GuardCase& c, std::vector<uint32_t>* out) {
  std::vector<float> values = samples(B * H * T * K);
  values[2 * K + 3] = std::bit_cast<float>(LOWBIT_INFINITY_BITS);  // poisons its group and no other
  for (lowbit_rule rule : {LOWBIT_ABSMAX, LOWBIT_ABSMEAN}) {
    QuantizePack op{{}, {}, {}, c.activations, rule, {.count = B * T, .rows = H, .tokens = T}};
    LOWBIT_TRY(rig.tensor(LOWBIT_TYPE_F32, {B, H, T, K}, values.data(), &op.input));
    LOWBIT_TRY(rig.tensor(LOWBIT_TYPE_I32, {B, H, T, ceil_div(K, 4)}, nullptr, &op.codes));
    LOWBIT_TRY(rig.tensor(LOWBIT_TYPE_F32, {B * T}, nullptr, &op.scales));
    LOWBIT_TRY(launch(rig.stream(), kernel, op));
    LOWBIT_TRY(rig.read(op.codes, out));
    LOWBIT_TRY(rig.read(op.scales, out));
  }
  return {};
}

Status run_pack_weight(Rig& rig, const KernelRow& kernel, const GuardCase& c, std::vector<uint32_t>* out) {
  PackWeight op{{}, {}, {}, c.weights, LOWBIT_ABSMAX, true, H, K, N};
  LOWBIT_TRY(rig.tensor(LOWBIT_TYPE_F32, {H, K, N}, samples(H * K * N).data(), &op.input));
  LOWBIT_TRY(rig.tensor(LOWBIT_TYPE_U8, {packed_size(c.weights, H * K * N)}, nullptr, &op.packed));
  LOWBIT_TRY(rig.tensor(LOWBIT_TYPE_F32, {H * N}, nullptr, &op.scales));
  LOWBIT_TRY(launch(rig.stream(), kernel, op));
  LOWBIT_TRY(rig.read(op.packed, out));
  return rig.read(op.scales, out);
}

// Codes over the whole range of the format, packed into words by hand; floats for format f32.
Status activations(Rig& rig, lowbit_format format, int64_t tokens, int64_t depth, ActivationOperand* operand) {
  const int64_t words = ceil_div(depth, 4);
  operand->format = format;
  operand->scale = 0.125f;
  if (format == LOWBIT_F32) {
    operand->scale = 1.0f;
    return rig.tensor(LOWBIT_TYPE_F32, {B, H, tokens, depth}, samples(B * H * tokens * depth).data(), &operand->values);
  }
  std::vector<uint32_t> packed(static_cast<size_t>(B * H * tokens * words));
  for (int64_t i = 0; i < B * H * tokens * depth; ++i) {
    const int top = qmax(format), spread = static_cast<int>(i * 7919 % (2 * top + 1)) - top;
    const int code = format == LOWBIT_UINT8 ? std::abs(spread) : spread;
    packed[static_cast<size_t>(i / depth * words + i % depth / 4)] |= static_cast<uint32_t>(code & 0xff)
                                                                      << (8 * (i % depth % 4));
  }
  return rig.tensor(LOWBIT_TYPE_I32, {B, H, tokens, words}, packed.data(), &operand->values);
}

Status weight(Rig& rig, const KernelRow& kernel, lowbit_format format, int64_t depth, std::unique_ptr<Weight>* made) {
  std::vector<uint8_t> packed(static_cast<size_t>(packed_size(format, H * depth * N)));
  for (int64_t i = 0; i < H * depth * N; ++i) {
    const int spread = static_cast<int>(i * 5237 % 255) - 127;
    put_packed_code(packed.data(), format, i,
                    format == LOWBIT_INT8     ? spread
                    : format == LOWBIT_BINARY ? (spread < 0 ? -1 : 1)
                                              : spread % 2);
  }
  std::vector<float> scales = samples(kernel.operation() == LOWBIT_DECODER_TAIL ? N : H * N);
  const lowbit_weight_desc desc{sizeof(desc),  kernel.operation(), format,       H, depth, N, packed.data(),
                                packed.size(), scales.data(),      scales.size()};
  return Weight::upload(rig.device(), desc, kernel.preferred_layout(), made);
}

Status run_lowrank_projection(Rig& rig, const KernelRow& kernel, const GuardCase& c, std::vector<uint32_t>* out) {
  std::unique_ptr<Weight> w;
  LOWBIT_TRY(weight(rig, kernel, c.weights, c.depth, &w));
  LowrankProjection op{{}, w.get(), {}, 0.5f, B, H, H, c.rows, c.depth, N};
  LOWBIT_TRY(activations(rig, c.activations, c.rows, c.depth, &op.input));
  LOWBIT_TRY(rig.tensor(LOWBIT_TYPE_F32, {B, H, c.rows, N}, nullptr, &op.output));
  LOWBIT_TRY(rig.stream().begin());
  LOWBIT_TRY(launch(rig.stream(), kernel, op));
  return rig.read(op.output, out);
}

Status run_decoder_tail(Rig& rig, const KernelRow& kernel, const GuardCase& c, std::vector<uint32_t>* out) {
  std::unique_ptr<Weight> w;
  LOWBIT_TRY(weight(rig, kernel, c.weights, c.depth, &w));
  DecoderTail op{{}, w.get(), {}, B, H, c.rows, c.depth, N};
  LOWBIT_TRY(activations(rig, c.activations, c.rows, c.depth, &op.input));
  LOWBIT_TRY(rig.tensor(LOWBIT_TYPE_F32, {B, 1, c.rows, N}, nullptr, &op.output));
  LOWBIT_TRY(rig.stream().begin());
  LOWBIT_TRY(launch(rig.stream(), kernel, op));
  return rig.read(op.output, out);
}

Status run_rho_compress(Rig& rig, const KernelRow& kernel, const GuardCase& c, std::vector<uint32_t>* out) {
  RhoCompress op{{}, {}, {}, c.weights, K * N};
  LOWBIT_TRY(rig.tensor(LOWBIT_TYPE_F32, {K, N}, samples(K * N).data(), &op.input));
  LOWBIT_TRY(rig.tensor(LOWBIT_TYPE_U8, {packed_size(c.weights, K * N)}, nullptr, &op.packed));
  LOWBIT_TRY(rig.tensor(LOWBIT_TYPE_F32, {ceil_div(K * N, LOWBIT_RHO_BLOCK)}, nullptr, &op.scales));
  LOWBIT_TRY(launch(rig.stream(), kernel, op));
  LOWBIT_TRY(rig.read(op.packed, out));
  return rig.read(op.scales, out);
}

Status run_rho_expand(Rig& rig, const KernelRow& kernel, const GuardCase& c, std::vector<uint32_t>* out) {
  RhoExpand op{{}, {}, {}, c.weights, K * N};
  std::vector<uint8_t> packed(static_cast<size_t>(packed_size(c.weights, K * N)));
  for (int64_t i = 0; i < K * N; ++i) put_packed_code(packed.data(), c.weights, i, static_cast<int>(i * 31 % 3) - 1);
  LOWBIT_TRY(rig.tensor(LOWBIT_TYPE_U8, {static_cast<int64_t>(packed.size())}, packed.data(), &op.packed));
  LOWBIT_TRY(rig.tensor(LOWBIT_TYPE_F32, {ceil_div(K * N, LOWBIT_RHO_BLOCK)},
                        samples(ceil_div(K * N, LOWBIT_RHO_BLOCK)).data(), &op.scales));
  LOWBIT_TRY(rig.tensor(LOWBIT_TYPE_F32, {K, N}, nullptr, &op.output));
  LOWBIT_TRY(launch(rig.stream(), kernel, op));
  return rig.read(op.output, out);
}

}  // namespace

Status run_guard_case(std::shared_ptr<Device> device, const KernelRow& kernel, const GuardCase& c,
                      std::vector<uint32_t>* out) {
  using Run = Status (*)(Rig&, const KernelRow&, const GuardCase&, std::vector<uint32_t>*);
  constexpr Run kRuns[] = {run_quantize_pack, run_pack_weight,  run_lowrank_projection,
                           run_decoder_tail,  run_rho_compress, run_rho_expand};
  static_assert(std::size(kRuns) == kOperationCount);
  Rig rig;
  LOWBIT_TRY(Rig::create(std::move(device), &rig));
  return kRuns[kernel.operation()](rig, kernel, c, out);
}

}  // namespace lowbit::core
