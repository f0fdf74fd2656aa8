// Streams: their scratch memory, their faults, and threads that share a device.
#include <cstring>
#include <thread>
#include <vector>

#include "api.h"
#include "host_memory.h"
#include "values.h"

namespace lowbit::test {
namespace {

using StreamTest = ApiTest;

// ---- Streams --------------------------------------------------------------------------------------------------------

// A projection of floats and one of codes, whose scratch is of other sizes; and what quantize_pack makes.
class Work {
 public:
  explicit Work(lowbit_device* device) {
    const std::vector<int32_t> codes = make_codes(LOWBIT_TERNARY, 3 * 50 * 40, 1);
    const std::vector<uint8_t> packed = pack_bytes(LOWBIT_TERNARY, codes);
    const std::vector<float> scales(3 * 40, 0.25f);
    const lowbit_weight_desc desc{
        sizeof(desc), LOWBIT_LOWRANK_PROJECTION, LOWBIT_TERNARY, 3, 50, 40, packed.data(), packed.size(), scales.data(),
        scales.size()};
    EXPECT_EQ(lowbit_weight_prepare(device, &desc, &weight_), LOWBIT_OK) << lowbit_last_error();
  }
  ~Work() { lowbit_weight_destroy(weight_); }

  std::vector<float> run(lowbit_stream* stream, int64_t T) const {
    std::vector<float> values = make_values(Values::heavy, T, 50, 127, 1);
    std::vector<float> out(static_cast<size_t>(3 * T * 40 + T));
    std::vector<uint32_t> codes(static_cast<size_t>(T * 13));
    const lowbit_quantize_pack_args quantize{sizeof(quantize),
                                             LOWBIT_INT8,
                                             LOWBIT_ABSMEAN,
                                             LOWBIT_PER_TOKEN,
                                             tensor(LOWBIT_TYPE_F32, values.data(), {1, 1, T, 50}),
                                             tensor(LOWBIT_TYPE_I32, codes.data(), {1, 1, T, 13}),
                                             tensor(LOWBIT_TYPE_F32, out.data() + 3 * T * 40, {T})};
    EXPECT_EQ(lowbit_quantize_pack(stream, &quantize), LOWBIT_OK) << lowbit_last_error();
    lowbit_lowrank_projection_args args{.struct_size = sizeof(args),
                                        .input = {.values = quantize.codes, .scales = quantize.scales},
                                        .weight = weight_,
                                        .output = tensor(LOWBIT_TYPE_F32, out.data(), {1, 3, T, 40})};
    EXPECT_EQ(lowbit_lowrank_projection(stream, &args), LOWBIT_OK) << lowbit_last_error();
    std::vector<float> from_codes = out;
    args.input = {.values = quantize.input, .rule = LOWBIT_ABSMEAN, .group = LOWBIT_PER_TOKEN};
    EXPECT_EQ(lowbit_lowrank_projection(stream, &args), LOWBIT_OK) << lowbit_last_error();
    EXPECT_EQ(out, from_codes);
    return out;
  }

 private:
  lowbit_weight* weight_ = nullptr;
};

TEST_F(StreamTest, ReservedScratchIsEnough) {
  const Work work(device);
  EXPECT_EQ(lowbit_stream_scratch_size(stream), 0u);
  EXPECT_STREQ(lowbit_stream_last_kernel(stream), "");
  const std::vector<float> first = work.run(stream, 9);
  const uint64_t size = lowbit_stream_scratch_size(stream);
  EXPECT_GT(size, 0u);

  lowbit_stream* other = nullptr;
  ASSERT_EQ(lowbit_stream_create(device, &other), LOWBIT_OK);
  ASSERT_EQ(lowbit_stream_reserve_scratch(other, size), LOWBIT_OK);
  EXPECT_EQ(lowbit_stream_scratch_size(other), size);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(work.run(other, 9), first);
  EXPECT_EQ(lowbit_stream_scratch_size(other), size) << "it had to grow";
  expect_refused(lowbit_stream_reserve_scratch(other, uint64_t{1} << 60), "bytes", LOWBIT_OUT_OF_MEMORY);
  EXPECT_EQ(work.run(other, 9), first);
  lowbit_stream_destroy(other);
}

TEST_F(StreamTest, ReservingLessDoesNotShrink) {
  const Work work(device);
  work.run(stream, 9);
  const uint64_t size = lowbit_stream_scratch_size(stream);
  for (uint64_t less : {uint64_t{0}, uint64_t{1}, size - 1}) {
    EXPECT_EQ(lowbit_stream_reserve_scratch(stream, less), LOWBIT_OK);
    EXPECT_GE(lowbit_stream_scratch_size(stream), size);
  }
  // Other sizes by turns, on scratch that grew in pieces.
  for (int64_t T : {1, 30, 2, 31, 9}) {
    lowbit_stream* fresh = nullptr;
    ASSERT_EQ(lowbit_stream_create(device, &fresh), LOWBIT_OK);
    EXPECT_EQ(work.run(stream, T), work.run(fresh, T));
    lowbit_stream_destroy(fresh);
  }
}

TEST_F(StreamTest, AFaultStaysWithItsStream) {
  stream->stream->set_fault({LOWBIT_DEVICE_LOST, "the device went away", 77});
  stream->stream->set_fault({LOWBIT_DRIVER_ERROR, "and then more went wrong", 78});
  float values[4] = {1, 2, 3, 4}, scale = 9;
  uint32_t code = 9;
  const lowbit_quantize_pack_args args{sizeof(args),
                                       LOWBIT_INT8,
                                       LOWBIT_ABSMAX,
                                       LOWBIT_PER_TENSOR,
                                       tensor(LOWBIT_TYPE_F32, values, {4}),
                                       tensor(LOWBIT_TYPE_I32, &code, {1}),
                                       tensor(LOWBIT_TYPE_F32, &scale, {1})};
  for (int i = 0; i < 2; ++i) {
    expect_refused(lowbit_quantize_pack(stream, &args), "the device went away", LOWBIT_DEVICE_LOST);
    EXPECT_EQ(lowbit_last_native_code(), 77);
    expect_refused(lowbit_stream_synchronize(stream), "the device went away", LOWBIT_DEVICE_LOST);
  }
  EXPECT_EQ(code, 9u);
  lowbit_stream* other = nullptr;
  ASSERT_EQ(lowbit_stream_create(device, &other), LOWBIT_OK);
  EXPECT_EQ(lowbit_quantize_pack(other, &args), LOWBIT_OK);
  lowbit_stream_destroy(other);
}

// Outputs may touch, as long as they share no byte.
TEST_F(StreamTest, OperandsMayStandSideBySide) {
  float values[4] = {1, 2, 3, 4};
  uint32_t memory[3] = {};
  const lowbit_quantize_pack_args args{sizeof(args),
                                       LOWBIT_INT8,
                                       LOWBIT_ABSMAX,
                                       LOWBIT_PER_TOKEN,
                                       tensor(LOWBIT_TYPE_F32, values, {2, 2}),
                                       tensor(LOWBIT_TYPE_I32, memory, {2, 1}),
                                       tensor(LOWBIT_TYPE_F32, memory + 2, {1})};
  lowbit_quantize_pack_args whole = args;
  whole.group = LOWBIT_PER_TENSOR;
  EXPECT_EQ(lowbit_quantize_pack(stream, &whole), LOWBIT_OK) << lowbit_last_error();
}

TEST_F(StreamTest, ADeviceMayBeClosedFirst) {
  const Work work(device);
  lowbit_buffer* buffer = nullptr;
  ASSERT_EQ(lowbit_buffer_create(device, 64, &buffer), LOWBIT_OK);
  lowbit_device_close(device);
  device = nullptr;
  work.run(stream, 3);
  std::memset(lowbit_buffer_data(buffer), 1, 64);
  lowbit_buffer_destroy(buffer);
}

TEST_F(StreamTest, ThreadsShareADevice) {
  const Work work(device);
  const std::vector<float> expected = work.run(stream, 17);
  std::vector<std::thread> threads;
  std::vector<int> wrong(8);
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      lowbit_stream* own = nullptr;
      wrong[i] += lowbit_stream_create(device, &own) != LOWBIT_OK;
      const Work own_work(device);
      for (int turn = 0; turn < 20; ++turn) {
        wrong[i] += lowbit_device_warm_up(device, 0) != LOWBIT_OK;
        wrong[i] += work.run(own, 17) != expected;
        wrong[i] += own_work.run(own, 17) != expected;
      }
      lowbit_stream_destroy(own);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(wrong, testing::Each(0));
}

TEST_F(StreamTest, TheLastErrorIsOfTheThread) {
  std::thread([] { EXPECT_STREQ(lowbit_last_error(), ""); }).join();
  expect_refused(lowbit_stream_flush(nullptr), "stream_flush: stream is NULL");
  std::thread([&] {
    EXPECT_STREQ(lowbit_last_error(), "");
    expect_refused(lowbit_buffer_create(device, 0, nullptr), "buffer_create: buffer is NULL");
  }).join();
  EXPECT_STREQ(lowbit_last_error(), "stream_flush: stream is NULL");
  EXPECT_EQ(lowbit_last_native_code(), 0);
  EXPECT_EQ(lowbit_stream_flush(stream), LOWBIT_OK);
  EXPECT_STREQ(lowbit_last_error(), "stream_flush: stream is NULL") << "a call that succeeds leaves it";
}

}  // namespace
}  // namespace lowbit::test
