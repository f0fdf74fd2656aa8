// libFuzzer on the entries of lowbit.h: sequences of calls that are right but for what the input spoils, on the cpu and on
// the reference. Operands and structs lie at the end of memory before a page that faults. A call returns a status, one that
// fails writes nothing, one that succeeds writes its outputs only, and both backends do and say the same.
//
// Sizes never claim more memory than there is: of that no library can know.
#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "guarded_pages.h"
#include "lowbit/lowbit.h"

namespace {

using lowbit::test::GuardedPages;

[[noreturn]] void fail(const char* what, const std::string& detail = "") {
  std::fprintf(stderr, "%s: %s; the last error is '%s'\n", what, detail.c_str(), lowbit_last_error());
  std::abort();
}

// ---- What the input decides -----------------------------------------------------------------------------------------

// An input that has ended spoils nothing.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : data_(data), end_(data + size) {}
  bool has_ended() const { return data_ == end_; }
  uint8_t byte() { return has_ended() ? 0 : *data_++; }
  uint64_t word() {
    uint64_t value = 0;
    for (int i = 0; i < 8; ++i) value = value << 8 | byte();
    return value;
  }
  int64_t between(int64_t low, int64_t high) { return low + byte() % (high - low + 1); }  // at most 256 apart
  template <typename T>
  T pick(std::initializer_list<T> from) {
    return from.begin()[byte() % from.size()];
  }

  // How many in 256 of the values that follow are spoiled.
  void set_rate(int rate) { rate_ = rate; }
  bool is_hostile() const { return rate_ != 0; }
  bool spoils() { return rate_ != 0 && byte() >= 256 - rate_; }
  int64_t number(int64_t valid) {
    if (!spoils()) return valid;
    return pick<int64_t>({0, 1, -1, valid - 1, static_cast<int64_t>(static_cast<uint64_t>(valid) * 2), valid + 1, 4, 64,
                          INT32_MAX, int64_t{1} << 31, int64_t{1} << 32, int64_t{1} << 40, int64_t{1} << 48,
                          int64_t{1} << 61, int64_t{1} << 62, INT64_MAX, INT64_MIN, static_cast<int64_t>(word())});
  }
  template <typename Enum>
  Enum member(Enum valid) {
    return spoils() ? static_cast<Enum>(pick<int64_t>({0, 1, 2, 3, 4, 5, 6, -1, INT32_MAX, INT32_MIN, 32})) : valid;
  }
  float real() {
    if (byte() < 128) return static_cast<float>(between(-100, 100)) / 16;
    return std::bit_cast<float>(static_cast<uint32_t>(word()));
  }

 private:
  const uint8_t *data_, *end_;
  int rate_ = 0;
};

// ---- Memory ---------------------------------------------------------------------------------------------------------

// A part of memory, which ends at a page that faults, and what is in it before each call.
class Slot {
 public:
  std::span<std::byte> bytes() const { return pages_.bytes(); }
  std::byte* end() const { return bytes().data() + kRoom; }
  void keep() { before_.assign(bytes().begin(), bytes().end()); }
  void restore() const { std::ranges::copy(before_, bytes().begin()); }
  const std::vector<std::byte>& before() const { return before_; }
  static constexpr size_t kRoom = 1 << 14;

 private:
  GuardedPages pages_{kRoom, true};
  std::vector<std::byte> before_ = std::vector<std::byte>(kRoom);
};

struct Bytes {
  const std::byte* begin;
  size_t size;
};

class Memory {
 public:
  static constexpr int kOperands = 4, kStructs = 3;

  // Floats of all kinds.
  void fill(uint64_t seed) {
    for (int i = 0; i < kOperands; ++i) {
      for (size_t at = 0; at < Slot::kRoom; at += 4) {
        seed = seed * 6364136223846793005 + 1442695040888963407;
        auto word = static_cast<uint32_t>(seed >> 32);
        if ((seed >> 24) % 64 != 0)
          word = std::bit_cast<uint32_t>(static_cast<float>(static_cast<int32_t>(word)) / (1 << 30));
        std::memcpy(operands_[i].bytes().data() + at, &word, 4);
      }
    }
    used_operands_ = used_structs_ = 0;
  }
  Slot& operand() { return operands_[used_operands_++]; }
  Slot& any_operand(Input& in) { return operands_[in.byte() % kOperands]; }

  // A copy of a struct, for as many bytes as its size says.
  template <typename Struct>
  Struct* place(Input& in, Struct value) {
    Slot& slot = structs_[used_structs_++];
    std::ranges::fill(slot.bytes(), std::byte{});
    size_t room = sizeof(Struct);
    value.struct_size = sizeof(Struct);
    if (in.spoils()) {
      value.struct_size =
          in.pick<uint32_t>({0, 1, 4, 8, 16, sizeof(Struct) - 8, sizeof(Struct) - 4, sizeof(Struct) - 1,
                             sizeof(Struct) + 8, sizeof(Struct) + 100, 4096, 4097, 1u << 31, UINT32_MAX});
      if (value.struct_size <= 4096) room = std::max<size_t>(value.struct_size, 4);
    }
    std::byte* const at = slot.end() - (room + alignof(Struct) - 1) / alignof(Struct) * alignof(Struct);
    std::memcpy(at, &value, std::min(room, sizeof(Struct)));
    if (room > sizeof(Struct) && in.spoils()) at[in.byte() % 2 != 0 ? room - 1 : sizeof(Struct)] = std::byte{1};
    return reinterpret_cast<Struct*>(at);
  }

  void keep() {
    for (Slot& slot : operands_) slot.keep();
    for (Slot& slot : structs_) slot.keep();
  }
  void restore() const {
    for (const Slot& slot : operands_) slot.restore();
    for (const Slot& slot : structs_) slot.restore();
  }
  // Nothing but `outputs` differs from what was kept.
  void expect_written(std::span<const Bytes> outputs, const char* name) const {
    const auto check = [&](const Slot& slot) {
      const std::byte* const now = slot.bytes().data();
      if (std::memcmp(now, slot.before().data(), Slot::kRoom) == 0) return;
      std::vector<std::byte> expected = slot.before();
      for (const Bytes& output : outputs) {
        if (output.begin >= now && output.begin < slot.end()) {
          std::copy_n(output.begin, output.size, expected.data() + (output.begin - now));
        }
      }
      if (std::memcmp(now, expected.data(), Slot::kRoom) != 0) fail(name, "has written what is no output");
    };
    std::ranges::for_each(operands_, check);
    std::ranges::for_each(structs_, check);
  }
  std::vector<std::byte> snapshot() const {
    std::vector<std::byte> all;
    for (const Slot& slot : operands_) all.insert(all.end(), slot.bytes().begin(), slot.bytes().end());
    return all;
  }

 private:
  Slot operands_[kOperands], structs_[kStructs];
  int used_operands_ = 0, used_structs_ = 0;
};

// ---- Devices --------------------------------------------------------------------------------------------------------

struct On {
  explicit On(const char* backend) {
    const lowbit_device_options options{.struct_size = sizeof(options), .backend = backend, .guard = LOWBIT_GUARD_OFF};
    if (lowbit_device_open(&options, &device) != LOWBIT_OK) fail("device_open");
    if (lowbit_stream_create(device, &stream) != LOWBIT_OK) fail("stream_create");
  }
  lowbit_device* device = nullptr;
  lowbit_stream* stream = nullptr;
  lowbit_weight* weights[2] = {};  // of lowrank_projection, of decoder_tail
};

struct Shape {
  int64_t B, H, K, N, T;
};

class Fuzzer {
 public:
  void run(Input in) {
    // Weights and shapes first, so that calls agree.
    in.set_rate(0);
    shape_ = {in.between(1, 3), in.between(1, 3), in.between(1, 40), in.between(1, 40), in.between(1, 12)};
    if (in.byte() % 16 == 1) shape_.T = in.between(1, 70);
    shape_.B = std::min(shape_.B, 150 / shape_.T + 1);
    while (shape_.B * shape_.H * shape_.T * 41 * 4 > static_cast<int64_t>(Slot::kRoom)) {
      shape_.T = (shape_.T + 1) / 2, shape_.B = 1;
    }
    prepare(in, LOWBIT_LOWRANK_PROJECTION, 0), prepare(in, LOWBIT_DECODER_TAIL, 1);
    for (int calls = 0; calls < 6 && !in.has_ended(); ++calls) {
      in.set_rate(in.pick({0, 3, 12, 60}));
      memory_.fill(in.word());
      call(in);
    }
    for (On* on : {&cpu_, &reference_}) {
      for (lowbit_weight*& weight : on->weights) lowbit_weight_destroy(std::exchange(weight, nullptr));
    }
  }

 private:
  // ---- Operands

  // A tensor in memory of its own, at the end of it.
  lowbit_tensor tensor(Input& in, lowbit_type type, std::initializer_list<int64_t> shape) {
    lowbit_tensor t{.rank = static_cast<int32_t>(shape.size()), .type = type};
    std::copy(shape.begin(), shape.end(), t.shape);
    int64_t rows = 1;
    for (int axis = 0; axis + 1 < t.rank; ++axis) rows *= t.shape[axis];
    const int64_t length = t.shape[t.rank - 1], element = type == LOWBIT_TYPE_U8 ? 1 : 4;
    int64_t stride = length;
    if (t.rank > 1 && in.byte() % 4 == 1 && rows * (length + 3) * element < static_cast<int64_t>(Slot::kRoom)) {
      stride = t.row_stride = length + in.between(0, 3);
    }
    Slot& slot = memory_.operand();
    t.size = static_cast<uint64_t>(((rows - 1) * stride + length) * element);
    if (t.size > Slot::kRoom) t.size = Slot::kRoom;
    t.data = slot.end() - t.size;
    spoil(in, slot, &t);
    return t;
  }

  void spoil(Input& in, Slot& slot, lowbit_tensor* t) {
    if (!in.is_hostile()) {
      if (in.byte() % 8 == 1) t->size = 0;
      return;
    }
    Slot* where = &slot;
    if (in.spoils()) {
      where = &memory_.any_operand(in);
      t->data = where->end() - t->size;
    }
    if (in.spoils()) {
      const auto room = static_cast<size_t>(where->end() - static_cast<std::byte*>(t->data));
      const size_t back = std::min(Slot::kRoom - room, size_t{in.byte()} * 4);
      t->data = static_cast<std::byte*>(t->data) - back;
      t->size += back;
      t->offset = in.byte() % 2 != 0 ? back : back / 8 * 4;
    }
    if (in.spoils() && t->size > 1) t->data = static_cast<std::byte*>(t->data) + 1, t->size -= 1;
    if (in.spoils()) t->size = std::min<uint64_t>(t->size, in.pick<uint64_t>({1, 2, 4, t->size - 1, t->size / 2 + 1}));
    t->size = std::max<uint64_t>(t->size, 1);  // 0 would be: not known
    t->offset = static_cast<uint64_t>(in.number(static_cast<int64_t>(t->offset)));
    for (int64_t& extent : t->shape) extent = in.number(extent);
    t->row_stride = in.number(t->row_stride);
    t->rank = static_cast<int32_t>(in.number(t->rank));
    t->type = in.member(t->type);
    if (in.spoils()) t->data = nullptr;
  }

  lowbit_activations activations(Input& in, int64_t heads, int64_t n, int64_t groups) {
    const auto& [B, H, K, N, T] = shape_;
    lowbit_activations a{.scale = in.real()};
    if (in.byte() % 2 != 0) {
      a.format = in.pick({LOWBIT_INT8, LOWBIT_INT4, LOWBIT_UINT8});
      a.values = tensor(in, LOWBIT_TYPE_I32, {B, heads, T, (n + 3) / 4});
      if (in.byte() % 2 != 0) a.scales = tensor(in, LOWBIT_TYPE_F32, {in.byte() % 2 != 0 ? 1 : groups});
    } else {
      a.format = in.pick({LOWBIT_INT8, LOWBIT_INT4, LOWBIT_UINT8, LOWBIT_F32});
      a.rule = in.pick({LOWBIT_ABSMAX, LOWBIT_ABSMEAN});
      a.group = in.pick({LOWBIT_PER_TENSOR, LOWBIT_PER_TOKEN});
      a.values = tensor(in, LOWBIT_TYPE_F32, {B, heads, T, n});
    }
    if (in.spoils() && a.scales.data == nullptr) a.scales = tensor(in, LOWBIT_TYPE_F32, {1});
    a.format = in.member(a.format);
    a.rule = in.member(a.rule);
    a.group = in.member(a.group);
    return a;
  }

  // ---- Calls

  void check_status(const char* name, lowbit_status status) const {
    if (lowbit_status_name(status) == nullptr || status == LOWBIT_INTERNAL) fail(name, std::to_string(status));
    if (status != LOWBIT_OK && lowbit_last_error()[0] == '\0') fail(name, "fails without a sentence");
  }

  // One that writes no operands: structs, handles.
  template <typename Function>
  void plain(const char* name, std::initializer_list<Bytes> outputs, Function&& function) {
    memory_.keep();
    const lowbit_status status = function();
    check_status(name, status);
    memory_.expect_written(status == LOWBIT_OK ? outputs : std::initializer_list<Bytes>{}, name);
  }
  // Of a struct that is filled in.
  template <typename Struct>
  static Bytes all_of(const Struct* out) {
    return {reinterpret_cast<const std::byte*>(out), std::min<size_t>(out->struct_size, sizeof(Struct))};
  }

  // The rows of a tensor that a call took.
  static void add_rows(const lowbit_tensor& t, std::vector<Bytes>* rows) {
    int64_t count = 1;
    for (int axis = 0; axis + 1 < t.rank; ++axis) count *= t.shape[axis];
    const int64_t length = t.shape[t.rank - 1], stride = t.row_stride == 0 ? length : t.row_stride;
    const int64_t element = t.type == LOWBIT_TYPE_U8 ? 1 : 4;
    const auto* first = static_cast<const std::byte*>(t.data) + t.offset;
    for (int64_t i = 0; i < count; ++i) {
      rows->push_back({first + (i == 0 ? 0 : i * stride * element), static_cast<size_t>(length * element)});
    }
  }

  // An operation, on the cpu and on the reference: `choose_weight` gives it the device's.
  template <typename Args, typename ChooseWeight>
  void operation(const char* name, lowbit_status (*function)(lowbit_stream*, const Args*), Args* args,
                 std::initializer_list<lowbit_tensor> outputs, ChooseWeight&& choose_weight) {
    struct Result {
      lowbit_status status;
      std::string sentence;
      std::vector<std::byte> memory;
    } results[2];
    const On* const both[2] = {&cpu_, &reference_};
    for (int i = 0; i < 2; ++i) {
      choose_weight(*both[i], args);
      memory_.keep();
      results[i].status = function(both[i]->stream, args);
      check_status(name, results[i].status);
      results[i].sentence = results[i].status == LOWBIT_OK ? "" : lowbit_last_error();
      std::vector<Bytes> written;
      if (results[i].status == LOWBIT_OK) {
        for (const lowbit_tensor& t : outputs) add_rows(t, &written);
      }
      memory_.expect_written(written, name);
      results[i].memory = memory_.snapshot();
      memory_.restore();
    }
    if (results[0].status != results[1].status || results[0].sentence != results[1].sentence) {
      fail(name, "cpu says '" + results[0].sentence + "', reference '" + results[1].sentence + "'");
    }
    if (results[0].memory != results[1].memory) fail(name, "cpu and reference differ");
  }
  template <typename Args>
  void operation(const char* name, lowbit_status (*function)(lowbit_stream*, const Args*), Args* args,
                 std::initializer_list<lowbit_tensor> outputs) {
    operation(name, function, args, outputs, [](const On&, Args*) {});
  }

  void prepare(Input& in, lowbit_operation which, int index) {
    const auto& [B, H, K, N, T] = shape_;
    memory_.fill(in.word());
    const lowbit_format format = in.pick({LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY});
    Slot &packed = memory_.operand(), &scales = memory_.operand();
    lowbit_weight_desc desc{.operation = which,
                            .format = in.member(format),
                            .heads = in.number(H),
                            .rows = in.number(K),
                            .columns = in.number(N)};
    desc.packed_size = lowbit_packed_weight_size(format, static_cast<uint64_t>(H * K * N));
    desc.scale_count = in.byte() % 2 != 0 ? 1 : static_cast<uint64_t>(which == LOWBIT_DECODER_TAIL ? N : H * N);
    std::byte* const bytes = packed.end() - desc.packed_size;
    if (format == LOWBIT_TERNARY && !(in.is_hostile() && in.spoils())) {  // without the code 3
      for (std::byte* b = bytes; b != packed.end(); ++b) *b &= std::byte{0x55};
    }
    desc.packed = bytes;
    desc.scales = reinterpret_cast<const float*>(scales.end()) - desc.scale_count;
    if (in.spoils()) desc.packed = nullptr;
    if (in.spoils()) desc.scales = nullptr;
    desc.packed_size =
        std::min(desc.packed_size, static_cast<uint64_t>(in.number(static_cast<int64_t>(desc.packed_size))));
    desc.scale_count =
        std::min(desc.scale_count, static_cast<uint64_t>(in.number(static_cast<int64_t>(desc.scale_count))));
    desc.operation = in.member(desc.operation);
    const lowbit_weight_desc* const placed = memory_.place(in, desc);
    lowbit_status statuses[2];
    int i = 0;
    for (On* on : {&cpu_, &reference_}) {
      plain("weight_prepare", {}, [&] {
        lowbit_weight* made = nullptr;
        const lowbit_status status = statuses[i] = lowbit_weight_prepare(on->device, placed, &made);
        if ((status == LOWBIT_OK) != (made != nullptr)) fail("weight_prepare", "and its weight do not agree");
        if (lowbit_weight_size(made) < (status == LOWBIT_OK ? desc.packed_size : 0)) fail("weight_size");
        if (status == LOWBIT_OK && !in.is_hostile()) {
          lowbit_weight_destroy(std::exchange(on->weights[index], made));
        } else {
          lowbit_weight_destroy(made);
        }
        return status;
      });
      ++i;
    }
    if (statuses[0] != statuses[1]) fail("weight_prepare", "cpu and reference differ");
  }

  void call(Input& in) {
    const auto& [B, H, K, N, T] = shape_;
    const auto rho_format = [&] { return in.pick({LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY}); };
    switch (in.byte() % 12) {
      case 0: {
        lowbit_quantize_pack_args a{
            .format = in.pick({LOWBIT_INT8, LOWBIT_INT4, LOWBIT_UINT8}),
            .rule = in.pick({LOWBIT_ABSMAX, LOWBIT_ABSMEAN}),
            .group = in.pick({LOWBIT_PER_TENSOR, LOWBIT_PER_TOKEN, LOWBIT_PER_TOKEN_ALL_HEADS})};
        a.input = tensor(in, LOWBIT_TYPE_F32, {B, H, T, K});
        a.codes = tensor(in, LOWBIT_TYPE_I32, {B, H, T, (K + 3) / 4});
        a.scales = tensor(in, LOWBIT_TYPE_F32,
                          {a.group == LOWBIT_PER_TENSOR  ? 1
                           : a.group == LOWBIT_PER_TOKEN ? B * H * T
                                                         : B * T});
        a.format = in.member(a.format), a.rule = in.member(a.rule), a.group = in.member(a.group);
        operation("quantize_pack", &lowbit_quantize_pack, memory_.place(in, a), {a.codes, a.scales});
        break;
      }
      case 1: {
        lowbit_pack_weight_args a{.format = rho_format(),
                                  .rule = in.pick({LOWBIT_ABSMAX, LOWBIT_ABSMEAN}),
                                  .group = in.pick({LOWBIT_PER_TENSOR, LOWBIT_PER_CHANNEL})};
        a.input = tensor(in, LOWBIT_TYPE_F32, {H, K, N});
        const auto size = lowbit_packed_weight_size(a.format, static_cast<uint64_t>(H * K * N));
        a.packed = tensor(in, LOWBIT_TYPE_U8, {static_cast<int64_t>(size)});
        a.scales = tensor(in, LOWBIT_TYPE_F32, {a.group == LOWBIT_PER_TENSOR ? 1 : H * N});
        a.format = in.member(a.format), a.rule = in.member(a.rule), a.group = in.member(a.group);
        operation("pack_weight", &lowbit_pack_weight, memory_.place(in, a), {a.packed, a.scales});
        break;
      }
      case 2:
      case 3: {
        lowbit_lowrank_projection_args a{.use_threshold = in.byte() % 2, .threshold = in.real()};
        const int64_t heads = in.byte() % 2 != 0 ? 1 : H;
        a.input = activations(in, heads, K, B * heads * T);
        a.output = tensor(in, LOWBIT_TYPE_F32, {B, H, T, in.byte() % 2 != 0 ? N : std::min(N, in.between(1, 40))});
        const int which = in.spoils() ? 1 : 0;
        const bool is_strange = in.spoils();
        operation("lowrank_projection", &lowbit_lowrank_projection, memory_.place(in, a), {a.output},
                  [&](const On& on, lowbit_lowrank_projection_args* args) {
                    set_weight(args, (is_strange ? (&on == &cpu_ ? reference_ : cpu_) : on).weights[which]);
                  });
        break;
      }
      case 4:
      case 5: {
        lowbit_decoder_tail_args a{};
        const int64_t l = in.byte() % 2 != 0 ? K : std::min(K, in.between(1, 40));
        a.latent = in.number(l);
        a.input = activations(in, H, l, B * T);
        a.output = tensor(in, LOWBIT_TYPE_F32, {B, 1, T, N});
        const int which = in.spoils() ? 0 : 1;
        const bool is_strange = in.spoils();
        operation("decoder_tail", &lowbit_decoder_tail, memory_.place(in, a), {a.output},
                  [&](const On& on, lowbit_decoder_tail_args* args) {
                    set_weight(args, (is_strange ? (&on == &cpu_ ? reference_ : cpu_) : on).weights[which]);
                  });
        break;
      }
      case 6: {
        const int64_t n = H * K * N;
        lowbit_rho_compress_args a{.encoding = rho_format()};
        a.input = tensor(in, LOWBIT_TYPE_F32, {H, K, N});
        a.packed = tensor(in, LOWBIT_TYPE_U8,
                          {static_cast<int64_t>(lowbit_rho_packed_size(a.encoding, static_cast<uint64_t>(n)))});
        a.scales = tensor(in, LOWBIT_TYPE_F32, {(n + 31) / 32});
        a.encoding = in.member(a.encoding);
        operation("rho_compress", &lowbit_rho_compress, memory_.place(in, a), {a.packed, a.scales});
        break;
      }
      case 7: {
        const int64_t n = H * K * N;
        lowbit_rho_expand_args a{.encoding = rho_format()};
        a.packed = tensor(in, LOWBIT_TYPE_U8,
                          {static_cast<int64_t>(lowbit_rho_packed_size(a.encoding, static_cast<uint64_t>(n)))});
        a.scales = tensor(in, LOWBIT_TYPE_F32, {(n + 31) / 32});
        a.output = tensor(in, LOWBIT_TYPE_F32, {H, K, N});
        a.encoding = in.member(a.encoding);
        operation("rho_expand", &lowbit_rho_expand, memory_.place(in, a), {a.output});
        break;
      }
      case 8: {
        // Hostile or not, what is prepared here is not kept: shapes of later calls would not fit.
        if (in.is_hostile()) prepare(in, in.pick({LOWBIT_LOWRANK_PROJECTION, LOWBIT_DECODER_TAIL}), 0);
        break;
      }
      case 9:
        ask(in);
        break;
      case 10:
        plan(in);
        break;
      case 11:
        copy(in);
        break;
    }
  }

  // `args` may be shorter than its weight's place.
  template <typename Args>
  static void set_weight(Args* args, const lowbit_weight* weight) {
    if (args->struct_size >= sizeof(Args)) args->weight = weight;
  }

  void ask(Input& in) {
    const lowbit_query query{.operation = in.member(in.pick({LOWBIT_LOWRANK_PROJECTION, LOWBIT_RHO_EXPAND})),
                             .activations = in.member(LOWBIT_INT8),
                             .weights = in.member(LOWBIT_TERNARY),
                             .rows = in.number(9),
                             .depth = in.number(64),
                             .outputs = in.number(1000)};
    const lowbit_query* const placed = memory_.place(in, query);
    lowbit_candidate candidates[3] = {};
    size_t count = in.byte() % 4;
    plain("explain", {}, [&] { return lowbit_explain(cpu_.device, placed, candidates, &count); });

    auto* const info = memory_.place(in, lowbit_device_info{});
    plain("device_get_info", {all_of(info)}, [&] { return lowbit_device_get_info(cpu_.device, info); });
    auto* const used = memory_.place(in, lowbit_memory_info{});
    plain("device_get_memory", {all_of(used)}, [&] { return lowbit_device_get_memory(cpu_.device, used); });

    double floor = 0;
    plain("device_get_floor", {}, [&] {
      const auto bytes = static_cast<double>(in.number(4096)), operations = static_cast<double>(in.number(0));
      return lowbit_device_get_floor(cpu_.device, std::min(bytes, 1e6), operations, &floor);
    });

    const auto none = static_cast<int32_t>(in.number(1));
    lowbit_status_name(static_cast<lowbit_status>(none));
    lowbit_runtime_name(static_cast<lowbit_runtime>(none));
    lowbit_fallback_reason_name(static_cast<lowbit_fallback_reason>(none));
    lowbit_feature_name(static_cast<uint64_t>(in.number(1)));
    const auto size = static_cast<uint64_t>(in.number(100));
    lowbit_packed_weight_size(static_cast<lowbit_format>(none), size);
    lowbit_rho_packed_size(static_cast<lowbit_format>(none), size);
    lowbit_rho_block_count(size);
    plain("device_warm_up", {},
          [&] { return lowbit_device_warm_up(cpu_.device, static_cast<uint32_t>(in.number(1))); });

    // Scratch and buffers that are small, or that no machine has.
    const uint64_t bytes = size < 1 << 16 || size > uint64_t{1} << 50 ? size : 64;
    plain("stream_reserve_scratch", {}, [&] { return lowbit_stream_reserve_scratch(cpu_.stream, bytes); });
    plain("buffer_create", {}, [&] {
      lowbit_buffer* made = nullptr;
      const lowbit_status status = lowbit_buffer_create(cpu_.device, bytes, &made);
      if (lowbit_buffer_size(made) != (status == LOWBIT_OK ? bytes : 0)) fail("buffer_create", "has another size");
      lowbit_buffer_destroy(made);
      return status;
    });
  }

  void plan(Input& in) {
    const auto format = [&] { return in.member(in.pick({LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY, LOWBIT_F32})); };
    lowbit_plan_config config{.enabled = in.byte() % 4};
    config.x = format(), config.y = format(), config.residual = format();
    config.activations = in.member(LOWBIT_INT8);
    config.training_kernels = in.byte() % 2;
    config.packed = static_cast<uint32_t>(in.number(in.byte() % 8));
    const lowbit_plan_config* const placed = memory_.place(in, config);
    auto* const capabilities = memory_.place(in, lowbit_capabilities{});
    if (in.byte() % 2 != 0) {
      plain("device_get_capabilities", {all_of(capabilities)},
            [&] { return lowbit_device_get_capabilities(cpu_.device, placed, capabilities); });
      auto* const plan = memory_.place(in, lowbit_plan{});
      plain("plan_choose", {all_of(plan)}, [&] { return lowbit_plan_choose(placed, capabilities, plan); });
      return;
    }
    memory_.fill(0);  // and all places for structs are free
    lowbit_model model{.training = in.byte() % 2};
    for (int64_t* size : {&model.layers, &model.embedding, &model.heads, &model.latent, &model.vocabulary, &model.batch,
                          &model.tokens}) {
      *size = in.number(in.between(1, 200));
    }
    model.rho = format();
    model.weight_group = in.member(LOWBIT_PER_CHANNEL);
    const lowbit_model* const placed_model = memory_.place(in, model);
    const lowbit_plan_config* const placed_config = memory_.place(in, config);
    auto* const estimate = memory_.place(in, lowbit_memory_estimate{});
    plain("estimate_memory", {all_of(estimate)},
          [&] { return lowbit_estimate_memory(cpu_.device, placed_model, placed_config, estimate); });
  }

  void copy(Input& in) {
    Slot &from = memory_.operand(), &to = memory_.operand();
    const uint64_t size = in.byte(), offset = in.byte();
    std::byte* const data = to.end() - size - offset;
    uint64_t claimed = static_cast<uint64_t>(in.number(static_cast<int64_t>(size)));
    uint64_t start = static_cast<uint64_t>(in.number(static_cast<int64_t>(offset)));
    constexpr uint64_t kMost = uint64_t{1} << 62;  // what is less is taken at its word
    if (claimed > size && claimed <= kMost) claimed = size;
    if (start > offset && start <= kMost) start = offset;
    if (in.byte() % 2 != 0) {
      plain("copy_to_device", {{data + std::min(start, offset), size}},
            [&] { return lowbit_copy_to_device(cpu_.stream, data, start, from.end() - size, claimed); });
    } else {
      plain("copy_to_host", {{from.end() - size, size}},
            [&] { return lowbit_copy_to_host(cpu_.stream, from.end() - size, data, start, claimed); });
    }
  }

  Memory memory_;
  On cpu_{"cpu"}, reference_{"reference"};
  Shape shape_{};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Fuzzer fuzzer;
  fuzzer.run({data, size});
  return 0;
}

// Memory that cannot be had is a NULL to be tested, not the end of the run.
extern "C" __attribute__((visibility("default"))) const char* __asan_default_options() {
  return "allocator_may_return_null=1";
}
