// Tensors by DLPack: on every backend handed out and taken back, and every kind that is refused.
#include "dlpack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "error_of.h"
#include "targets.h"

namespace lowbit::test {
namespace {

using namespace core::dlpack;
using testing::ElementsAre;
using testing::HasSubstr;
using Managed = core::dlpack::DLManagedTensorVersioned;

Managed& look_into(::DLManagedTensorVersioned* managed) { return *reinterpret_cast<Managed*>(managed); }

// Another library's tensor: contiguous, unless strides are given.
struct Theirs {
  Theirs(void* data, DLDevice device, DLDataType dtype, std::vector<int64_t> shape_of,
         std::vector<int64_t> strides_of = {})
      : shape(std::move(shape_of)), strides(std::move(strides_of)) {
    managed.version = {1, 0};
    managed.dl_tensor = {.data = data,
                         .device = device,
                         .ndim = static_cast<int32_t>(shape.size()),
                         .dtype = dtype,
                         .shape = shape.data(),
                         .strides = strides.empty() ? nullptr : strides.data()};
  }
  Theirs(const Theirs&) = delete;
  Theirs& operator=(const Theirs&) = delete;
  ::DLManagedTensorVersioned* get() { return reinterpret_cast<::DLManagedTensorVersioned*>(&managed); }

  std::vector<int64_t> shape, strides;
  Managed managed{};
};

constexpr DLDevice kHost{kDLCPU, 0};
constexpr DLDataType kF32{kDLFloat, 32, 1}, kI32{kDLInt, 32, 1}, kU8{kDLUInt, 8, 1}, kU2{kDLUInt, 2, 1},
    kU1{kDLUInt, 1, 1};

class DlpackTest : public testing::TestWithParam<Target> {
 protected:
  void SetUp() override {
    std::string absent;
    device = open(GetParam(), &absent);
    if (!device) GTEST_SKIP() << absent;
    stream.emplace(*device);
    const Buffer buffer(*device, 1);
    auto* managed = buffer_to_dlpack(buffer, tensor(buffer, LOWBIT_TYPE_U8, {1}));
    device_id = look_into(managed).dl_tensor.device.device_id;  // of Vulkan, what the machine lists before it
    look_into(managed).deleter(&look_into(managed));
  }
  // Where the device's tensors are.
  DLDevice own() const {
    const std::string_view backend = GetParam().backend;
    return {backend == "cuda" ? kDLCUDA : backend == "vulkan" ? kDLVulkan : kDLCPU, device_id};
  }
  bool is_host() const { return own().device_type == kDLCPU; }
  void expect_refused(Theirs& theirs, const std::string& says, bool is_output = false) const {
    const Error error = error_of([&] { tensor_from_dlpack(*stream, theirs.get(), is_output); });
    EXPECT_EQ(error.status(), LOWBIT_INVALID_ARGUMENT);
    EXPECT_THAT(error.what(), HasSubstr("tensor_from_dlpack: " + says));
  }

  std::optional<Device> device;
  std::optional<Stream> stream;
  int32_t device_id = 0;
  alignas(16) char memory[64] = {};  // an address, which is never read
};

// [2, 3, 5] floats, 7 apart, from byte 8 on; nothing else is in the buffers.
TEST_P(DlpackTest, ThereAndBack) {
  std::vector<float> values(2 + 6 * 7);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * i % 23) - 11;
  std::optional<Buffer> input(std::in_place, *device, values.size() * 4), codes(std::in_place, *device, 64),
      scales(std::in_place, *device, 24);
  stream->upload(*input, values);
  stream->synchronize();
  lowbit_tensor view = tensor(*input, LOWBIT_TYPE_F32, {2, 3, 5});
  view.offset = 8;
  view.row_stride = 7;
  auto* managed = buffer_to_dlpack(*input, view);
  auto* managed_codes = buffer_to_dlpack(*codes, tensor(*codes, LOWBIT_TYPE_I32, {2, 3, 2}));
  auto* managed_scales = buffer_to_dlpack(*scales, tensor(*scales, LOWBIT_TYPE_F32, {6}));

  const Managed& out = look_into(managed);
  EXPECT_EQ(out.version.major, 1u);
  EXPECT_EQ(out.flags, 0u);
  EXPECT_EQ(out.dl_tensor.device.device_type, own().device_type);
  EXPECT_THAT(std::span(out.dl_tensor.shape, 3), ElementsAre(2, 3, 5));
  EXPECT_THAT(std::span(out.dl_tensor.strides, 3), ElementsAre(21, 7, 1));
  EXPECT_EQ(out.dl_tensor.dtype.code, kDLFloat);
  const bool is_address = own().device_type != kDLVulkan;
  EXPECT_EQ(out.dl_tensor.data, is_address ? static_cast<char*>(input->data()) + 8 : input->data());
  EXPECT_EQ(out.dl_tensor.byte_offset, is_address ? 0u : 8u);

  input.reset();
  codes.reset();
  scales.reset();
  const lowbit_tensor back = tensor_from_dlpack(*stream, managed);
  EXPECT_EQ(back.row_stride, 7);
  EXPECT_EQ(back.size, back.offset + (5 * 7 + 5) * 4);
  const lowbit_tensor to = tensor_from_dlpack(*stream, managed_codes, true);
  const lowbit_tensor to_scales = tensor_from_dlpack(*stream, managed_scales, true);
  quantize_pack(*stream, {.group = LOWBIT_PER_TOKEN, .input = back, .codes = to, .scales = to_scales});
  std::vector<uint32_t> given(12);
  check(lowbit_copy_to_host(stream->get(), given.data(), to.data, to.offset, 48));
  stream->synchronize();
  for (auto* each : {managed, managed_codes, managed_scales}) {
    look_into(each).deleter(&look_into(each));
  }

  const Device reference = Device::open({.backend = "reference"});
  std::vector<uint32_t> expected(12);
  std::vector<float> expected_scales(6);
  lowbit_tensor host = tensor(values.data(), LOWBIT_TYPE_F32, {2, 3, 5});
  host.offset = 8;
  host.row_stride = 7;
  quantize_pack(Stream(reference), {.group = LOWBIT_PER_TOKEN,
                                    .input = host,
                                    .codes = tensor(expected.data(), LOWBIT_TYPE_I32, {2, 3, 2}),
                                    .scales = tensor(expected_scales.data(), LOWBIT_TYPE_F32, {6})});
  EXPECT_EQ(given, expected);
}

TEST_P(DlpackTest, MemoryStaysUntilTheDeleter) {
  const uint64_t before = device->memory().in_use;
  std::optional<Buffer> buffer(std::in_place, *device, 4096);
  auto* first = buffer_to_dlpack(*buffer, tensor(*buffer, LOWBIT_TYPE_U8, {4096}));
  auto* second = buffer_to_dlpack(*buffer, tensor(*buffer, LOWBIT_TYPE_F32, {4, 256}));
  buffer.reset();
  EXPECT_EQ(device->memory().in_use, before + 4096);
  look_into(first).deleter(&look_into(first));
  EXPECT_EQ(device->memory().in_use, before + 4096);
  const lowbit_tensor left = tensor_from_dlpack(*stream, second, true);
  device.reset();
  const std::vector<char> bytes(4096, 'x');
  std::vector<char> back(4096);
  check(lowbit_copy_to_device(stream->get(), left.data, left.offset, bytes.data(), 4096));
  check(lowbit_copy_to_host(stream->get(), back.data(), left.data, left.offset, 4096));
  stream->synchronize();
  EXPECT_EQ(back, bytes);
  stream.reset();
  std::thread([&] { look_into(second).deleter(&look_into(second)); }).join();
}

TEST_P(DlpackTest, TheDeleterGivesTheMemoryBack) {
  const uint64_t before = device->memory().in_use;
  const Buffer* gone = new Buffer(*device, 4096);
  auto* managed = buffer_to_dlpack(*gone, tensor(*gone, LOWBIT_TYPE_U8, {4096}));
  delete gone;
  std::thread([&] { look_into(managed).deleter(&look_into(managed)); }).join();
  EXPECT_EQ(device->memory().in_use, before);
}

TEST_P(DlpackTest, TypesAreLowbits) {
  const struct {
    DLDataType dl;
    lowbit_type type;
  } kinds[] = {{kF32, LOWBIT_TYPE_F32}, {{kDLFloat, 16, 1}, LOWBIT_TYPE_F16}, {{kDLBfloat, 16, 1}, LOWBIT_TYPE_BF16},
               {kI32, LOWBIT_TYPE_I32}, {{kDLInt, 8, 4}, LOWBIT_TYPE_I32},    {{kDLUInt, 8, 4}, LOWBIT_TYPE_I32},
               {kU8, LOWBIT_TYPE_U8},   {{kDLInt, 8, 1}, LOWBIT_TYPE_U8}};
  for (const auto& kind : kinds) {
    Theirs theirs(memory, own(), kind.dl, {2, 3});
    theirs.managed.dl_tensor.byte_offset = 8;
    const lowbit_tensor t = tensor_from_dlpack(*stream, theirs.get());
    EXPECT_EQ(t.type, kind.type);
    EXPECT_EQ(t.data, memory);
    EXPECT_EQ(t.offset, 8u);
    EXPECT_EQ(t.size, 8 + 6u * kind.dl.bits * kind.dl.lanes / 8);
    EXPECT_EQ(t.rank, 2);
    EXPECT_THAT(std::span(t.shape, 2), ElementsAre(2, 3));
    EXPECT_EQ(t.row_stride, 3);
  }
  const std::string may_be =
      ", it may be float32, float16, bfloat16, int32, int8x4, uint8x4, uint8, int8, uint2, uint1";
  const std::pair<DLDataType, const char*> refused[] = {
      {{kDLFloat, 64, 1}, "float64"},
      {{kDLInt, 4, 1}, "int4"},
      {{kDLInt, 2, 1}, "int2"},
      {{kDLUInt, 2, 4}, "uint2x4"},
      {{kDLFloat, 32, 0}, "float32x0"},
      {{static_cast<DLDataTypeCode>(6), 8, 1}, "bool8"},
      {{static_cast<DLDataTypeCode>(17), 4, 1}, "type code 17 of 4 bits"}};
  for (const auto& [dtype, name] : refused) {
    Theirs theirs(memory, own(), dtype, {2, 3});
    expect_refused(theirs, std::string("managed.dl_tensor.dtype is ") + name + may_be);
  }
}

TEST_P(DlpackTest, CodesBelowAByteAreTheirBytes) {
  for (const auto& [dtype, bytes] : {std::pair(kU2, 4), std::pair(kU1, 2)}) {
    Theirs theirs(memory, own(), dtype, {3, 5}, {5, 1});
    const lowbit_tensor t = tensor_from_dlpack(*stream, theirs.get());
    EXPECT_EQ(t.type, LOWBIT_TYPE_U8);
    EXPECT_EQ(t.rank, 1);
    EXPECT_EQ(t.shape[0], bytes);
    EXPECT_EQ(t.size, static_cast<uint64_t>(bytes));
    theirs.managed.flags = kIsSubbyteTypePadded;
    expect_refused(theirs, "managed.flags has is_subbyte_type_padded, uint");
  }
  Theirs apart(memory, own(), kU2, {3, 5}, {8, 1});
  expect_refused(apart,
                 "managed.dl_tensor.strides leave 3 elements between rows of [3, 5], packed uint2 must be contiguous");
  Theirs large(memory, own(), kU2, {int64_t{1} << 31, int64_t{1} << 31});
  expect_refused(large, "managed.dl_tensor with shape [2147483648, 2147483648] is too large");
  Theirs whole(memory, own(), kU8, {2, 3});
  whole.managed.flags = kIsSubbyteTypePadded;  // of no concern
  EXPECT_EQ(tensor_from_dlpack(*stream, whole.get()).rank, 2);
}

// On every backend, over host memory: pack_weight's ternary codes are DLPack's uint2, element by element.
TEST_P(DlpackTest, StreamsOnHostMemoryTakeTheHostsTensors) {
  const Stream on_host = Stream::on_host_memory(*device);
  std::vector<float> weights = {1, -1, 0, 1, 1, -1, -1, 0, 0, 1};
  std::vector<uint8_t> packed(3);
  float scale = 0;
  Theirs input(weights.data(), kHost, kF32, {2, 5});
  Theirs output(packed.data(), {kDLCUDAHost, 0}, kU2, {2, 5});
  Theirs scales(&scale, kHost, kF32, {1});
  input.managed.flags = kReadOnly;
  pack_weight(on_host, {.format = LOWBIT_TERNARY,
                        .input = tensor_from_dlpack(on_host, input.get()),
                        .packed = tensor_from_dlpack(on_host, output.get(), true),
                        .scales = tensor_from_dlpack(on_host, scales.get(), true)});
  for (size_t i = 0; i < weights.size(); ++i) {
    EXPECT_EQ((packed[i / 4] >> (i % 4 * 2) & 3) - 1, static_cast<int>(weights[i])) << i;
  }
  Theirs elsewhere(memory, {kDLVulkan, 0}, kF32, {2});
  const Error error = error_of([&] { tensor_from_dlpack(on_host, elsewhere.get()); });
  EXPECT_THAT(error.what(), HasSubstr("managed.dl_tensor.device.device_type is 7, it may be 1 (kDLCPU) or 3 "
                                      "(kDLCUDAHost): the stream's tensors are host memory"));
}

TEST_P(DlpackTest, OtherDevicesAreRefused) {
  const auto type_refused = [&](int32_t type, const char* may_be) {
    Theirs theirs(memory, {static_cast<DLDeviceType>(type), 0}, kF32, {2});
    expect_refused(theirs, "managed.dl_tensor.device.device_type is " + std::to_string(type) + ", it may be " + may_be);
  };
  const auto taken = [&](DLDevice of) {
    Theirs theirs(memory, of, kF32, {2});
    EXPECT_EQ(tensor_from_dlpack(*stream, theirs.get()).data, memory);
  };
  if (is_host()) {
    taken({kDLCPU, 0});
    taken({kDLCUDAHost, 0});
    for (int32_t type : {0, 2, 7, 13, 99}) type_refused(type, "1 (kDLCPU) or 3 (kDLCUDAHost)");
    return;
  }
  const DLDevice own_device = own();
  taken(own_device);
  Theirs theirs(memory, {own_device.device_type, own_device.device_id + 1}, kF32, {2});
  expect_refused(theirs, "managed.dl_tensor.device.device_id is " + std::to_string(own_device.device_id + 1) +
                             ", it must be " + std::to_string(own_device.device_id) + ", the stream's device");
  if (own_device.device_type == kDLCUDA) {
    taken({kDLCUDAManaged, 0});
    for (int32_t type : {1, 3, 7}) type_refused(type, "2 (kDLCUDA) or 13 (kDLCUDAManaged)");
  } else {
    for (int32_t type : {1, 2, 3, 13}) type_refused(type, "7 (kDLVulkan)");
  }
}

TEST_P(DlpackTest, RowsMayBeApart) {
  const struct {
    std::vector<int64_t> shape, strides;
    int64_t row_stride;
  } taken[] = {{{5}, {1}, 5},
               {{1}, {9}, 1},
               {{3, 5}, {8, 1}, 8},
               {{3, 1}, {8, 77}, 8},
               {{1, 5}, {0, 1}, 5},  // what an axis of one element has is never used
               {{2, 3, 5}, {24, 8, 1}, 8},
               {{2, 1, 5}, {8, -1, 1}, 8},
               {{2, 1, 3, 5}, {24, 3, 8, 1}, 8},
               {{1, 1, 1, 1}, {7, 7, 7, 7}, 1}};
  for (const auto& [shape, strides, row_stride] : taken) {
    Theirs theirs(memory, own(), kF32, shape, strides);
    const lowbit_tensor t = tensor_from_dlpack(*stream, theirs.get());
    EXPECT_EQ(t.row_stride, row_stride);
    int64_t rows = 1;
    for (size_t axis = 0; axis + 1 < shape.size(); ++axis) rows *= shape[axis];
    EXPECT_EQ(t.size, static_cast<uint64_t>((rows - 1) * row_stride + shape.back()) * 4);
  }
  constexpr int64_t kHuge = int64_t{1} << 62;
  const struct {
    std::vector<int64_t> shape, strides;
    const char* says;
  } refused[] = {
      {{5}, {2}, "strides[0] is 2, it must be 1: the last axis is contiguous"},
      {{3, 5}, {1, 3}, "strides[1] is 3, it must be 1: the last axis is contiguous"},
      {{3, 5}, {4, 1}, "strides[0] is 4, it must be at least the last axis of [3, 5]"},
      {{3, 5}, {0, 1}, "strides[0] is 0, it must be at least the last axis of [3, 5]"},
      {{3, 5}, {-5, 1}, "strides[0] is -5, it must be at least"},
      {{2, 3, 5}, {30, 8, 1}, "strides[0] is 30, it must be 3 * 8: the rows of [2, 3, 5] are 8 elements apart"},
      {{2, 3, 5}, {0, 5, 1}, "strides[0] is 0, it must be 3 * 5"},
      {{2, 2, 3, 5}, {16, 24, 8, 1}, "strides[0] is 16, it must be 6 * 8"},
      {{3, 2, 5}, {5, 15, 1}, "strides[0] is 5, it must be 2 * 15"},
      {{2, 3, 5}, {3, kHuge, 1}, "strides[0] is 3, it must be 3 * 4611686018427387904"},
      {{3, 5}, {kHuge, 1}, "with shape [3, 5] is too large"},
  };
  for (const auto& [shape, strides, says] : refused) {
    Theirs theirs(memory, own(), kF32, shape, strides);
    expect_refused(theirs, std::string("managed.dl_tensor") + (says[0] == 's' ? "." : " ") + says);
  }
}

TEST_P(DlpackTest, MistakesAreNamed) {
  const auto refused = [&](auto change, const char* says, bool is_output = false) {
    Theirs theirs(memory, own(), kF32, {2, 3});
    change(theirs.managed);
    expect_refused(theirs, says, is_output);
  };
  refused([](Managed& m) { m.version = {2, 3}; }, "managed.version is 2.3, its major version must be 1");
  refused([](Managed& m) { m.version = {0, 8}; }, "managed.version is 0.8, its major version must be 1");
  refused([](Managed& m) { m.flags = 9; },
          "managed.flags is 0x9, it may have read_only (1), is_copied (2), is_subbyte");
  refused([](Managed& m) { m.flags = uint64_t{1} << 63; }, "managed.flags is 0x8000000000000000");
  refused([](Managed& m) { m.flags = kReadOnly | kIsCopied; }, "managed.flags has read_only, and is_output is 1", true);
  refused([](Managed& m) { m.dl_tensor.ndim = 0; }, "managed.dl_tensor.ndim is 0, it may be 1 to 4");
  refused([](Managed& m) { m.dl_tensor.ndim = 5; }, "managed.dl_tensor.ndim is 5, it may be 1 to 4");
  refused([](Managed& m) { m.dl_tensor.ndim = -1; }, "managed.dl_tensor.ndim is -1, it may be 1 to 4");
  refused([](Managed& m) { m.dl_tensor.shape = nullptr; }, "managed.dl_tensor.shape is NULL");
  refused([](Managed& m) { m.dl_tensor.shape[0] = 0; }, "managed.dl_tensor.shape[0] is 0, it must be at least 1");
  refused([](Managed& m) { m.dl_tensor.shape[1] = -3; }, "managed.dl_tensor.shape[1] is -3, it must be at least 1");
  refused([](Managed& m) { m.dl_tensor.shape[0] = int64_t{1} << 61; },
          "managed.dl_tensor with shape [2305843009213693952, 3] is too large");
  refused([](Managed& m) { m.dl_tensor.byte_offset = UINT64_MAX; }, "managed.dl_tensor with shape [2, 3] is too large");
  refused([](Managed& m) { m.dl_tensor.data = nullptr; }, "managed.dl_tensor.data is NULL");
  refused([](Managed& m) { m.dl_tensor.byte_offset = 2; }, "managed.dl_tensor starts at ");

  Theirs theirs(memory, own(), kF32, {2, 3});
  theirs.managed.flags = kReadOnly | kIsCopied;
  lowbit_tensor t{.rank = 42};
  EXPECT_EQ(lowbit_tensor_from_dlpack(nullptr, theirs.get(), 0, &t), LOWBIT_INVALID_ARGUMENT);
  EXPECT_STREQ(lowbit_last_error(), "tensor_from_dlpack: stream is NULL");
  EXPECT_EQ(lowbit_tensor_from_dlpack(stream->get(), nullptr, 0, &t), LOWBIT_INVALID_ARGUMENT);
  EXPECT_STREQ(lowbit_last_error(), "tensor_from_dlpack: managed is NULL");
  EXPECT_EQ(lowbit_tensor_from_dlpack(stream->get(), theirs.get(), 0, nullptr), LOWBIT_INVALID_ARGUMENT);
  EXPECT_STREQ(lowbit_last_error(), "tensor_from_dlpack: tensor is NULL");
  EXPECT_EQ(lowbit_tensor_from_dlpack(stream->get(), theirs.get(), -1, &t), LOWBIT_INVALID_ARGUMENT);
  EXPECT_EQ(t.rank, 42) << "a call that fails writes nothing";
  EXPECT_EQ(lowbit_tensor_from_dlpack(stream->get(), theirs.get(), 0, &t), LOWBIT_OK);
  EXPECT_EQ(t.rank, 2);
}

TEST_P(DlpackTest, ViewsAreOfTheBuffer) {
  const Buffer buffer(*device, 64), other(*device, 64);
  const lowbit_tensor whole = tensor(buffer.data(), LOWBIT_TYPE_F32, {2, 8});
  const auto refused = [&](auto change, const char* says) {
    lowbit_tensor view = whole;
    change(view);
    const Error error = error_of([&] { buffer_to_dlpack(buffer, view); });
    EXPECT_EQ(error.status(), LOWBIT_INVALID_ARGUMENT);
    EXPECT_THAT(error.what(), HasSubstr(std::string("buffer_to_dlpack: ") + says));
  };
  refused([&](lowbit_tensor& v) { v.data = other.data(); }, "view.data is not the buffer's, as lowbit_buffer_data()");
  refused([](lowbit_tensor& v) { v.data = nullptr; }, "view.data is not the buffer's");
  refused([](lowbit_tensor& v) { v.shape[0] = 3; },
          "view with shape [3, 8] at offset 0 needs 96 bytes, the buffer has 64");
  refused([](lowbit_tensor& v) { v.offset = 4; },
          "view with shape [2, 8] at offset 4 needs 68 bytes, the buffer has 64");
  refused([](lowbit_tensor& v) { v.row_stride = 9; }, "view with shape [2, 8] at offset 0 needs 68 bytes");
  refused([](lowbit_tensor& v) { v.row_stride = 7; }, "view.row_stride is 7, it must be 0 or at least the last axis");
  refused([](lowbit_tensor& v) { v.rank = 5; }, "view.rank is 5, it may be 1 to 4");
  refused([](lowbit_tensor& v) { v.size = 60; }, "view.size is 60 bytes");
  refused([](lowbit_tensor& v) { v.type = static_cast<lowbit_type>(9); }, "view.type is ");

  ::DLManagedTensorVersioned* managed = nullptr;
  EXPECT_EQ(lowbit_buffer_to_dlpack(nullptr, &whole, &managed), LOWBIT_INVALID_ARGUMENT);
  EXPECT_STREQ(lowbit_last_error(), "buffer_to_dlpack: buffer is NULL");
  EXPECT_EQ(lowbit_buffer_to_dlpack(buffer.get(), nullptr, &managed), LOWBIT_INVALID_ARGUMENT);
  EXPECT_STREQ(lowbit_last_error(), "buffer_to_dlpack: view is NULL");
  EXPECT_EQ(lowbit_buffer_to_dlpack(buffer.get(), &whole, nullptr), LOWBIT_INVALID_ARGUMENT);
  EXPECT_STREQ(lowbit_last_error(), "buffer_to_dlpack: managed is NULL");
  EXPECT_EQ(managed, nullptr);
}

// Of every type and rank, the way out is undone by the way in.
TEST_P(DlpackTest, ViewsComeBackAsTheyWere) {
  const Buffer buffer(*device, 4096);
  for (lowbit_type type : {LOWBIT_TYPE_F32, LOWBIT_TYPE_F16, LOWBIT_TYPE_BF16, LOWBIT_TYPE_I32, LOWBIT_TYPE_U8}) {
    for (int32_t rank = 1; rank <= 4; ++rank) {
      lowbit_tensor view{.data = buffer.data(), .offset = 16, .rank = rank, .type = type};
      for (int axis = 0; axis < rank; ++axis) view.shape[axis] = axis + 2;
      view.row_stride = rank == 1 ? 2 : 8;
      auto* managed = buffer_to_dlpack(buffer, view);
      const lowbit_tensor back = tensor_from_dlpack(*stream, managed, true);
      look_into(managed).deleter(&look_into(managed));
      EXPECT_EQ(back.type, type);
      EXPECT_EQ(back.rank, rank);
      EXPECT_EQ(back.row_stride, view.row_stride);
      EXPECT_TRUE(std::equal(back.shape, back.shape + rank, view.shape));
      EXPECT_EQ(reinterpret_cast<uintptr_t>(back.data) + back.offset, reinterpret_cast<uintptr_t>(view.data) + 16);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, DlpackTest, testing::ValuesIn(targets()), name_of_target);

}  // namespace
}  // namespace lowbit::test
