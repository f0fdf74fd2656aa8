// What the cuda backend promises beside its results: streams and pointers of the caller's, graphs, several threads, the
// ways of naming a device, and what becomes of errors.
#include <cuda_runtime.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <thread>

#include "../cuda/divisor.h"
#include "error_of.h"
#include "lowbit/lowbit.hpp"
#include "values.h"

#if LOWBIT_EMULATION
#include "backend.h"
#include "emulation/emulation.h"
#include "fake_device.h"
#include "host_calls.h"
#endif

namespace lowbit::test {
namespace {

using testing::AllOf;
using testing::Each;
using testing::HasSubstr;
using Words = std::vector<uint32_t>;

constexpr int64_t B = 2, H = 3, T = 5, E = 70, L = 50, D = 37;

// Every operation on one device, over buffers of its own: some with many rows, some with one.
class Operations {
 public:
  explicit Operations(const Device& device) : device_(device), stream_(device) {
    floats_ = upload(make_values(Values::mixed, B * H * T, L, 127, 1));
    few_ = upload(make_values(Values::sparse, H, L, 127, 2));
    weights_ = upload(make_values(Values::uniform, H * L, D, 127, 3));
    const std::vector<float> encoder = make_values(Values::uniform, H * E, L, 127, 4);
    encoder_ = prepare(LOWBIT_LOWRANK_PROJECTION, LOWBIT_TERNARY, H, E, L);
    decoder_ = prepare(LOWBIT_DECODER_TAIL, LOWBIT_INT8, H, L, D);
    tokens_ = upload(make_values(Values::uniform, B * T * 4, E, 127, 5));
    for (int i = 0; i < kOutputs; ++i) outputs_.emplace_back(device_, 1 << 16);
  }

  void run(const Stream& stream) const {
    int next = 0;
    const auto out = [&](lowbit_type type, std::initializer_list<int64_t> shape) {
      return tensor(outputs_.at(static_cast<size_t>(next++)).data(), type, shape);
    };
    for (lowbit_group group : {LOWBIT_PER_TENSOR, LOWBIT_PER_TOKEN, LOWBIT_PER_TOKEN_ALL_HEADS}) {
      const int64_t scales = group == LOWBIT_PER_TENSOR ? 1 : group == LOWBIT_PER_TOKEN ? B * H * T : B * T;
      for (lowbit_rule rule : {LOWBIT_ABSMAX, LOWBIT_ABSMEAN}) {
        quantize_pack(stream, {.format = LOWBIT_INT8,
                               .rule = rule,
                               .group = group,
                               .input = tensor(floats_->data(), LOWBIT_TYPE_F32, {B, H, T, L}),
                               .codes = out(LOWBIT_TYPE_I32, {B, H, T, (L + 3) / 4}),
                               .scales = out(LOWBIT_TYPE_F32, {scales})});
      }
    }
    for (lowbit_group group : {LOWBIT_PER_TENSOR, LOWBIT_PER_CHANNEL}) {
      pack_weight(stream, {.format = LOWBIT_TERNARY,
                           .group = group,
                           .input = tensor(weights_->data(), LOWBIT_TYPE_F32, {H, L, D}),
                           .packed = out(LOWBIT_TYPE_U8, {(H * L * D + 3) / 4}),
                           .scales = out(LOWBIT_TYPE_F32, {group == LOWBIT_PER_TENSOR ? 1 : H * D})});
    }
    for (int64_t rows : {int64_t{1}, T, 4 * T}) {
      lowrank_projection(stream, {.use_threshold = 1,
                                  .input = floats(*tokens_, LOWBIT_UINT8, {B, 1, rows, E}),
                                  .weight = encoder_->get(),
                                  .output = out(LOWBIT_TYPE_F32, {B, H, rows, L})});
    }
    decoder_tail(stream, {.input = floats(*few_, LOWBIT_INT8, {1, H, 1, L}),
                          .weight = decoder_->get(),
                          .output = out(LOWBIT_TYPE_F32, {1, 1, 1, D})});
    decoder_tail(stream, {.input = floats(*floats_, LOWBIT_INT8, {B, H, T, L}),
                          .weight = decoder_->get(),
                          .output = out(LOWBIT_TYPE_F32, {B, 1, T, D})});
    for (lowbit_format encoding : {LOWBIT_INT8, LOWBIT_TERNARY, LOWBIT_BINARY}) {
      const int64_t n = B * H * T * L;
      const lowbit_tensor packed =
          out(LOWBIT_TYPE_U8, {static_cast<int64_t>(lowbit_rho_packed_size(encoding, static_cast<uint64_t>(n)))});
      const lowbit_tensor scales = out(LOWBIT_TYPE_F32, {(n + 31) / 32});
      rho_compress(stream, {.encoding = encoding,
                            .input = tensor(floats_->data(), LOWBIT_TYPE_F32, {n}),
                            .packed = packed,
                            .scales = scales});
      rho_expand(stream,
                 {.encoding = encoding, .packed = packed, .scales = scales, .output = out(LOWBIT_TYPE_F32, {n})});
    }
    ASSERT_EQ(next, kOutputs);
  }

  void clear() const {
    const std::vector<uint8_t> junk(1 << 16, 0x5a);
    for (const Buffer& output : outputs_) stream_.upload(output, junk);
    stream_.synchronize();
  }
  std::vector<uint8_t> results() const {
    std::vector<uint8_t> all(outputs_.size() << 16);
    for (size_t i = 0; i < outputs_.size(); ++i) {
      stream_.download(std::span(all).subspan(i << 16, 1 << 16), outputs_[i]);
    }
    return all;
  }

 private:
  static constexpr int kOutputs = 6 * 2 + 2 * 2 + 3 + 2 + 3 * 3;

  static lowbit_activations floats(const Buffer& from, lowbit_format format, std::initializer_list<int64_t> shape) {
    return {.values = tensor(from.data(), LOWBIT_TYPE_F32, shape), .format = format, .group = LOWBIT_PER_TOKEN};
  }
  std::unique_ptr<Buffer> upload(const std::vector<float>& values) const {
    auto buffer = std::make_unique<Buffer>(device_, values.size() * sizeof(float));
    stream_.upload(*buffer, values);
    stream_.synchronize();
    return buffer;
  }
  std::unique_ptr<Weight> prepare(lowbit_operation operation, lowbit_format format, int64_t heads, int64_t rows,
                                  int64_t columns) const {
    const std::vector<uint8_t> packed = pack_bytes(format, make_codes(format, heads * rows * columns, 7));
    const float scale = 0.25f;
    return std::make_unique<Weight>(device_, lowbit_weight_desc{.operation = operation,
                                                                .format = format,
                                                                .heads = heads,
                                                                .rows = rows,
                                                                .columns = columns,
                                                                .packed = packed.data(),
                                                                .packed_size = packed.size(),
                                                                .scales = &scale,
                                                                .scale_count = 1});
  }

  const Device& device_;
  Stream stream_;
  std::unique_ptr<Buffer> floats_, few_, weights_, tokens_;
  std::unique_ptr<Weight> encoder_, decoder_;
  std::vector<Buffer> outputs_;
};

class CudaTest : public testing::Test {
 protected:
  void SetUp() override {
    try {
      device.emplace(Device::open({.backend = "cuda"}));
    } catch (const Error& error) {
      if (error.status() != LOWBIT_UNAVAILABLE) throw;
      GTEST_SKIP() << error.what();
    }
  }
  std::optional<Device> device;
};

struct Graph {
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  Graph() = default;
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  ~Graph() {
    if (exec != nullptr) cudaGraphExecDestroy(exec);
    if (graph != nullptr) cudaGraphDestroy(graph);
  }
};

cudaStream_t native(const Stream& stream) { return static_cast<cudaStream_t>(stream.native()); }

TEST_F(CudaTest, EveryOperationIsCapturedAndReplayed) {
  device->warm_up();
  const Operations operations(*device);
  const Stream stream(*device);
  operations.clear();
  operations.run(stream);
  stream.synchronize();
  const std::vector<uint8_t> expected = operations.results();

  Graph graph;
  ASSERT_EQ(cudaStreamBeginCapture(native(stream), cudaStreamCaptureModeGlobal), cudaSuccess);
  operations.run(stream);
  ASSERT_EQ(cudaStreamEndCapture(native(stream), &graph.graph), cudaSuccess);
  ASSERT_EQ(cudaGraphInstantiate(&graph.exec, graph.graph, 0), cudaSuccess);
  for (int replay = 0; replay < 3; ++replay) {
    operations.clear();
    ASSERT_EQ(cudaGraphLaunch(graph.exec, native(stream)), cudaSuccess);
    stream.synchronize();
    EXPECT_EQ(operations.results(), expected) << "replay " << replay;
  }
}

// Neither the calls nor what a graph runs of them; the calls around are.
TEST_F(CudaTest, CapturedCallsAreNotMeasured) {
  device.emplace(Device::open({.backend = "cuda", .guard = LOWBIT_GUARD_OFF}));
  const Operations operations(*device);
  const Stream stream(*device);
  operations.run(stream);  // the scratch is there
  operations.run(stream);
  device->start_profile();
  const auto launches = [&] {
    uint64_t all = 0;
    for (const lowbit_profile_entry& entry : device->profile()) all += entry.count;
    return all;
  };
  operations.run(stream);
  Graph graph;
  ASSERT_EQ(cudaStreamBeginCapture(native(stream), cudaStreamCaptureModeGlobal), cudaSuccess);
  operations.run(stream);
  launches();  // does no harm to the capture
  ASSERT_EQ(cudaStreamEndCapture(native(stream), &graph.graph), cudaSuccess);
  ASSERT_EQ(cudaGraphInstantiate(&graph.exec, graph.graph, 0), cudaSuccess);
  stream.synchronize();
  const uint64_t once = launches();
  EXPECT_GT(once, 0u);
  ASSERT_EQ(cudaGraphLaunch(graph.exec, native(stream)), cudaSuccess);
  stream.synchronize();
  EXPECT_EQ(launches(), once);
  operations.run(stream);
  stream.synchronize();
  EXPECT_EQ(launches(), 2 * once);
}

TEST_F(CudaTest, CaptureRefusesWhatAGraphCannotHold) {
  device->warm_up();
  const Operations operations(*device);
  const Stream stream(*device);  // without scratch
  const Buffer buffer(*device, 64);
  std::vector<uint8_t> host(64);
  ASSERT_EQ(cudaStreamBeginCapture(native(stream), cudaStreamCaptureModeGlobal), cudaSuccess);
  const Error scratch = error_of([&] { operations.run(stream); });
  EXPECT_EQ(scratch.status(), LOWBIT_NOT_READY);
  EXPECT_THAT(scratch.what(), HasSubstr("scratch"));
  const Error copy = error_of([&] { stream.upload(buffer, host); });
  EXPECT_EQ(copy.status(), LOWBIT_UNSUPPORTED);
  EXPECT_THAT(copy.what(), HasSubstr("copy_to_device: the stream is being captured"));
  EXPECT_EQ(error_of([&] { stream.synchronize(); }).status(), LOWBIT_UNSUPPORTED);
  // The capture itself is not harmed.
  Graph graph;
  EXPECT_EQ(cudaStreamEndCapture(native(stream), &graph.graph), cudaSuccess);
}

// Work on other streams, allocations and weights are no business of a capture, of the strictest mode even.
TEST_F(CudaTest, ACaptureIsLeftAlone) {
  device->warm_up();
  const Stream captured(*device), other(*device);
  const Buffer codes(*device, 16), scale(*device, 4);
  std::optional<Buffer> used(std::in_place, *device, 64);
  const std::vector<float> values(16, 2.0f);
  captured.upload(*used, values);
  quantize_pack(captured, {.input = tensor(*used, LOWBIT_TYPE_F32, {16}),
                           .codes = tensor(codes, LOWBIT_TYPE_I32, {4}),
                           .scales = tensor(scale, LOWBIT_TYPE_F32, {1})});
  ASSERT_EQ(cudaStreamBeginCapture(native(captured), cudaStreamCaptureModeGlobal), cudaSuccess);
  used.reset();  // its last use may not have run
  const Buffer buffer(*device, 64);
  for (int turn = 0; turn < 3; ++turn) other.upload(buffer, values);
  other.synchronize();
  const Operations operations(*device);
  Graph graph;
  ASSERT_EQ(cudaStreamEndCapture(native(captured), &graph.graph), cudaSuccess);
  std::vector<uint32_t> got(4);
  captured.download(got, codes);
  captured.synchronize();
  EXPECT_EQ(got, Words(4, 0x7f7f7f7f));
}

TEST_F(CudaTest, TheCallersStreamAndPointers) {
  cudaStream_t own = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&own, cudaStreamNonBlocking), cudaSuccess);
  void *input = nullptr, *codes = nullptr, *scales = nullptr;
  for (void** memory : {&input, &codes, &scales}) ASSERT_EQ(cudaMalloc(memory, 1024), cudaSuccess);
  {
    const Stream stream = Stream::wrap(*device, own);
    EXPECT_EQ(stream.native(), own);
    const std::vector<float> values(256, 2.0f);
    ASSERT_EQ(cudaMemcpyAsync(input, values.data(), 1024, cudaMemcpyHostToDevice, own), cudaSuccess);
    quantize_pack(stream, {.input = tensor(input, LOWBIT_TYPE_F32, {256}),
                           .codes = tensor(codes, LOWBIT_TYPE_I32, {64}),
                           .scales = tensor(scales, LOWBIT_TYPE_F32, {1})});
    std::vector<uint32_t> got(64);
    ASSERT_EQ(cudaMemcpyAsync(got.data(), codes, 256, cudaMemcpyDeviceToHost, own), cudaSuccess);
    ASSERT_EQ(cudaStreamSynchronize(own), cudaSuccess);
    EXPECT_EQ(got, std::vector<uint32_t>(64, 0x7f7f7f7f));
  }
  // It is the caller's still.
  EXPECT_EQ(cudaStreamQuery(own), cudaSuccess);
  for (void* memory : {input, codes, scales}) cudaFree(memory);
  EXPECT_EQ(cudaStreamDestroy(own), cudaSuccess);
}

TEST_F(CudaTest, ThreadsWithStreamsOfTheirOwn) {
  constexpr int kThreads = 4;
  std::vector<std::vector<uint8_t>> results(kThreads);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      const Operations operations(*device);
      const Stream stream(*device);
      operations.clear();
      for (int turn = 0; turn < 3; ++turn) operations.run(stream);
      stream.synchronize();
      results[static_cast<size_t>(i)] = operations.results();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& result : results) EXPECT_EQ(result, results[0]);
}

TEST_F(CudaTest, ADeviceGoesByIndexUuidOrPciId) {
  const auto open = [](const std::string& named) -> std::string {
    return Device::open({.backend = "cuda", .device = named.c_str()}).info().name;
  };
  const std::string name = device->info().name;
  EXPECT_EQ(open("0"), name);
  cudaDeviceProp properties{};
  ASSERT_EQ(cudaGetDeviceProperties(&properties, 0), cudaSuccess);
  EXPECT_EQ(
      open(fmt::format("{:04X}:{:02x}:{:02x}.0", properties.pciDomainID, properties.pciBusID, properties.pciDeviceID)),
      name);
  std::string uuid = "GPU";
  for (int i = 0; i < 16; ++i) {
    const bool starts_part = i == 0 || i == 4 || i == 6 || i == 8 || i == 10;
    uuid += fmt::format("{}{:02x}", starts_part ? "-" : "", static_cast<uint8_t>(properties.uuid.bytes[i]));
  }
  EXPECT_EQ(open(uuid), name);
  const Error wrong = error_of([&] { open("seven"); });
  EXPECT_EQ(wrong.status(), LOWBIT_UNAVAILABLE);
  EXPECT_THAT(wrong.what(), AllOf(HasSubstr("no device 'seven'"), HasSubstr(name), HasSubstr(uuid)));
}

TEST(Divisor, IsExact) {
  constexpr int kMost = 0x7fffffff;
  Random random(1);
  std::vector<int> divisors = {1, 2, 3, 4, 5, 6, 7, 127, 128, 129, 65535, 65536, 65537, 1 << 30, (1 << 30) + 1, kMost};
  for (int i = 0; i < 1000; ++i) divisors.push_back(static_cast<int>(random.between(1, kMost)));
  for (int of : divisors) {
    const core::cuda::Divisor divisor(of);
    std::vector<int> numbers = {0, 1, of - 1, of, kMost - 1, kMost, kMost / of * of, kMost / of * of - 1};
    for (int i = 0; i < 100; ++i) numbers.push_back(static_cast<int>(random.between(0, kMost)));
    for (int n : numbers) ASSERT_EQ(divisor.divide(n), n / of) << n << " / " << of;
  }
}

#if LOWBIT_EMULATION

class CudaErrorsTest : public CudaTest {
 protected:
  void TearDown() override {
    emulation::repair_context();
    emulation::set_driver(CUDART_VERSION);
    emulation::set_device_count(1);
    emulation::set_compute_capability(9, 0);
    emulation::set_fill_pattern(0xcd);
  }
  static Error open_error() {
    return error_of([] { Device::open({.backend = "cuda"}); });
  }
};

// It has an H100's clocks and memory, and two of its multiprocessors.
TEST_F(CudaTest, FloorIsOfTheEmulatedGpu) {
  EXPECT_DOUBLE_EQ(device->floor(2 * 2.619e9 * 5120 / 8, 0), 1e9);
  EXPECT_DOUBLE_EQ(device->floor(0, 2 * 4096 * 1.83e9 * 2), 1e9);
}

TEST_F(CudaErrorsTest, WhyThereIsNoDevice) {
  emulation::set_driver(0);
  EXPECT_THAT(open_error().what(), HasSubstr("no_driver: "));
  emulation::set_driver(12040);
  EXPECT_THAT(open_error().what(), HasSubstr("driver_too_old: the driver knows CUDA 12.4"));
  emulation::set_driver(CUDART_VERSION);
  emulation::set_device_count(0);
  EXPECT_THAT(open_error().what(), HasSubstr("no_device: "));
  EXPECT_EQ(open_error().status(), LOWBIT_UNAVAILABLE);
  emulation::set_device_count(1);
  emulation::set_compute_capability(7, 0);
  EXPECT_THAT(open_error().what(), HasSubstr("feature_missing: "));
}

TEST_F(CudaErrorsTest, ADeviceWithoutTensorCoresTakesDp4a) {
  emulation::set_compute_capability(7, 5);
  const Device turing = Device::open({.backend = "cuda"});
  EXPECT_STREQ(turing.info().isa, "sm_75");
  const auto candidates = turing.explain({.operation = LOWBIT_LOWRANK_PROJECTION});
  const auto selected =
      std::find_if(candidates.begin(), candidates.end(), [](const auto& candidate) { return candidate.selected != 0; });
  ASSERT_NE(selected, candidates.end());
  EXPECT_THAT(selected->kernel, HasSubstr("_dp4a"));
  for (auto passed_over = candidates.begin(); passed_over != selected; ++passed_over) {
    EXPECT_THAT(passed_over->reason, HasSubstr("feature_missing: "));
  }
}

TEST_F(CudaErrorsTest, OutOfMemory) {
  const Error error = error_of([&] { Buffer(*device, uint64_t{1} << 50); });
  EXPECT_EQ(error.status(), LOWBIT_OUT_OF_MEMORY);
  EXPECT_EQ(error.native_code(), cudaErrorMemoryAllocation);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("1125899906842624 bytes"), HasSubstr("cudaErrorMemoryAllocation")));
  EXPECT_EQ(cudaPeekAtLastError(), cudaSuccess);
  const Buffer small(*device, 64);  // and the device goes on
}

TEST_F(CudaErrorsTest, ScratchThatCannotBeHad) {
  const Operations operations(*device);
  const Stream stream(*device);
  emulation::fail_next("cudaMallocFromPoolAsync", cudaErrorMemoryAllocation);
  EXPECT_EQ(error_of([&] { operations.run(stream); }).status(), LOWBIT_OUT_OF_MEMORY);
  operations.run(stream);
  stream.synchronize();
}

TEST_F(CudaErrorsTest, ALaunchThatFails) {
  const Operations operations(*device);
  const Stream stream(*device);
  emulation::fail_next("cudaLaunchKernelEx", cudaErrorNoKernelImageForDevice);
  const Error error = error_of([&] { operations.run(stream); });
  EXPECT_EQ(error.status(), LOWBIT_DRIVER_ERROR);
  EXPECT_THAT(error.what(),
              AllOf(HasSubstr("launching "), HasSubstr("_cuda"), HasSubstr("cudaErrorNoKernelImageForDevice")));
  operations.run(stream);  // it does not stick
  stream.synchronize();
}

TEST_F(CudaErrorsTest, AFaultSticks) {
  for (cudaError_t fault : {cudaErrorIllegalAddress, cudaErrorContextIsDestroyed}) {
    const Operations operations(*device);
    const Stream stream(*device);
    operations.run(stream);
    std::vector<uint8_t> host(64, 7);
    const Buffer buffer(*device, 64);
    emulation::break_context(fault);
    const Error error = error_of([&] { stream.synchronize(); });
    EXPECT_EQ(error.status(), LOWBIT_DEVICE_LOST);
    EXPECT_EQ(error.native_code(), fault);
    EXPECT_THAT(error.what(), HasSubstr(cudaGetErrorName(fault)));
    EXPECT_EQ(error_of([&] { operations.run(stream); }).status(), LOWBIT_DEVICE_LOST);
    EXPECT_EQ(error_of([&] { stream.download(host, buffer); }).status(), LOWBIT_DEVICE_LOST);
    EXPECT_EQ(host, std::vector<uint8_t>(64, 7)) << "host data was touched";
    emulation::repair_context();
    EXPECT_EQ(error_of([&] { stream.synchronize(); }).status(), LOWBIT_DEVICE_LOST) << "it stays the stream's";
  }
}

TEST_F(CudaErrorsTest, ARepeatedCallAllocatesNothingAndWaitsForNothing) {
  const Operations operations(*device);
  const Stream stream(*device);
  operations.run(stream);
  operations.run(stream);  // the scratch of the first was joined
  stream.synchronize();
  const auto allocations = emulation::allocations(), synchronizations = emulation::synchronizations();
  operations.run(stream);
  EXPECT_EQ(emulation::allocations(), allocations);
  EXPECT_EQ(emulation::synchronizations(), synchronizations);
  stream.synchronize();
}

TEST_F(CudaErrorsTest, MeasuringWaitsForNothingAndReusesItsEvents) {
  const size_t before = emulation::events();
  {
    const Operations operations(*device);
    const Stream stream(*device);
    operations.run(stream);
    operations.run(stream);
    device->start_profile();
    const auto run = [&] {
      const size_t synchronizations = emulation::synchronizations();
      operations.run(stream);
      device->profile();
      EXPECT_EQ(emulation::synchronizations(), synchronizations);
    };
    for (int turn = 0; turn < 2; ++turn) {
      run();
      stream.synchronize();
    }
    const size_t events = emulation::events();
    for (int turn = 0; turn < 3; ++turn) {
      run();
      stream.synchronize();
    }
    EXPECT_EQ(emulation::events(), events);
    // Where nobody asks, calls themselves take over what has run.
    for (int turn = 0; turn < 40; ++turn) {
      operations.run(stream);
      while (turn % 10 == 9 && cudaStreamQuery(native(stream)) == cudaErrorNotReady) {
      }
    }
    EXPECT_LT(emulation::events(), 2 * 256 + 11 * events);  // those of ten turns without the device's word
  }
  device.reset();
  EXPECT_EQ(emulation::events(), before);
}

TEST_F(CudaErrorsTest, MeasuringThatFails) {
  const Operations operations(*device);
  const size_t before = emulation::events();
  emulation::fail_next("cudaEventSynchronize", cudaErrorUnknown);
  EXPECT_EQ(error_of([&] { device->start_profile(); }).status(), LOWBIT_DRIVER_ERROR);
  EXPECT_EQ(emulation::events(), before);
  operations.run(Stream(*device));
  EXPECT_TRUE(device->profile().empty());
  device->start_profile();
  for (const char* function : {"cudaEventCreateWithFlags", "cudaEventRecord"}) {
    const Stream stream(*device);
    emulation::fail_next(function, cudaErrorMemoryAllocation);
    EXPECT_EQ(error_of([&] { operations.run(stream); }).status(), LOWBIT_OUT_OF_MEMORY) << function;
    operations.run(stream);
    stream.synchronize();
  }
  const Stream stream(*device);
  operations.run(stream);
  emulation::break_context(cudaErrorIllegalAddress);
  EXPECT_FALSE(device->profile().empty()) << "what was measured before";
  emulation::repair_context();
  stream.synchronize();
}

TEST_F(CudaErrorsTest, TheCallersCurrentDeviceIsRestored) {
  emulation::set_device_count(2);
  const Device second = Device::open({.backend = "cuda", .device = "1"});
  const Operations operations(second);
  const Stream stream(second);
  ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
  operations.run(stream);
  stream.synchronize();
  int current = -1;
  ASSERT_EQ(cudaGetDevice(&current), cudaSuccess);
  EXPECT_EQ(current, 0);
}

class CudaFallbackTest : public CudaErrorsTest {
 protected:
  void SetUp() override { device.emplace(Device::open({.backend = "cuda", .allow_fallback = 1})); }

  // What the calls give, and why each fell back, where it did.
  static std::vector<lowbit_fallback_reason> expect_right(const HostCalls& calls, const Stream& stream) {
    std::vector<lowbit_fallback_reason> reasons;
    EXPECT_EQ(calls.run(stream, &reasons), HostCalls::expected());
    return reasons;
  }
};

TEST_F(CudaFallbackTest, AutoGoesOnAndSaysWhy) {
  const ScopedEnvironment no_choice("LOWBIT_BACKEND", nullptr);
  const auto expect = [&](lowbit_fallback_reason reason, const std::string& detail) {
    const Device other = Device::open();
    EXPECT_STRNE(other.info().backend, "cuda");
    EXPECT_EQ(other.fallback().reason, reason) << other.fallback().detail;
    EXPECT_THAT(other.fallback().detail, HasSubstr("cuda: " + detail));
    // A choice is kept, also by those who allow calls to fall back.
    EXPECT_EQ(error_of([] { Device::open({.backend = "cuda", .allow_fallback = 1}); }).status(), LOWBIT_UNAVAILABLE);
  };
  EXPECT_EQ(Device::open().fallback().reason, LOWBIT_FALLBACK_NONE);
  emulation::set_driver(0);
  expect(LOWBIT_FALLBACK_NO_DRIVER, "no_driver: libcuda");
  emulation::set_driver(12040);
  expect(LOWBIT_FALLBACK_DRIVER_TOO_OLD, "driver_too_old: the driver knows CUDA 12.4");
  emulation::set_driver(CUDART_VERSION);
  emulation::set_device_count(0);
  expect(LOWBIT_FALLBACK_NO_DEVICE, "no_device: ");
  emulation::set_device_count(1);
  emulation::set_compute_capability(7, 0);
  expect(LOWBIT_FALLBACK_FEATURE_MISSING, "feature_missing: ");
}

TEST_F(CudaFallbackTest, ALostDevice) {
  const HostCalls calls(*device);
  const Stream stream = Stream::on_host_memory(*device), own(*device);
  EXPECT_THAT(expect_right(calls, stream), Each(LOWBIT_FALLBACK_NONE));
  emulation::break_context(cudaErrorIllegalAddress);
  EXPECT_THAT(expect_right(calls, stream), Each(LOWBIT_FALLBACK_DEVICE_LOST));
  EXPECT_THAT(stream.last_kernel(), HasSubstr("_cpu"));
  EXPECT_THAT(stream.fallback().detail, HasSubstr("cudaErrorIllegalAddress"));
  // Memory of the device is read by nobody else.
  EXPECT_EQ(error_of([&] { calls.run(own); }).status(), LOWBIT_DEVICE_LOST);
  emulation::repair_context();  // so that what is destroyed is freed
}

TEST_F(CudaFallbackTest, NoMemoryForOperands) {
  const HostCalls calls(*device);
  const Stream stream = Stream::on_host_memory(*device);
  emulation::fail_next("cudaMallocFromPoolAsync", cudaErrorMemoryAllocation);
  std::vector<lowbit_fallback_reason> reasons = expect_right(calls, stream);
  EXPECT_EQ(reasons.front(), LOWBIT_FALLBACK_OUT_OF_MEMORY);
  reasons.erase(reasons.begin());
  EXPECT_THAT(reasons, Each(LOWBIT_FALLBACK_NONE)) << "the device goes on";
}

TEST_F(CudaFallbackTest, NoMemoryForAWeight) {
  device->warm_up();  // so that the weight's is the first memory asked for
  emulation::fail_next("cudaMallocFromPoolAsync", cudaErrorMemoryAllocation);
  const HostCalls calls(*device);  // the first of two weights fails
  const Stream stream = Stream::on_host_memory(*device);
  const auto reasons = expect_right(calls, stream);
  const auto lowrank = {reasons[1], reasons[2]};
  EXPECT_THAT(lowrank, Each(LOWBIT_FALLBACK_OUT_OF_MEMORY));
  EXPECT_EQ(std::count(reasons.begin(), reasons.end(), LOWBIT_FALLBACK_NONE), std::ssize(reasons) - 2);
}

TEST_F(CudaFallbackTest, NoKernelIsLeft) {
  const core::KernelFunction<core::RhoExpand> failing = [](core::Stream&, const core::RhoExpand&) -> core::Status {
    return {LOWBIT_DRIVER_ERROR, "the driver said no"};
  };
  std::vector<core::KernelRow> rows;
  for (const core::KernelRow& row : core::kernel_table()) {
    const bool is_expand = row.backend == core::Backend::cuda && row.operation() == LOWBIT_RHO_EXPAND;
    rows.push_back(row);
    if (is_expand) rows.back().name = "fails_cuda", rows.back().launch = failing;
  }
  std::shared_ptr<core::Device> opened;
  ASSERT_TRUE(core::open_device({.backend = "cuda", .allow_fallback = 1}, rows, &opened).ok());
  device->get()->device = opened;
  device->warm_up();
  const HostCalls calls(*device);
  const Stream stream = Stream::on_host_memory(*device);
  std::vector<lowbit_fallback_reason> reasons = expect_right(calls, stream);
  EXPECT_EQ(reasons.back(), LOWBIT_FALLBACK_PARITY_MISMATCH);
  EXPECT_THAT(stream.fallback().detail, HasSubstr("fails_cuda (parity_mismatch: fails_cuda on cuda"));
  reasons.pop_back();
  EXPECT_THAT(reasons, Each(LOWBIT_FALLBACK_NONE));
}

TEST_F(CudaFallbackTest, OnlyWhereItIsAllowed) {
  const Device strict = Device::open({.backend = "cuda"});
  const HostCalls calls(strict);
  const Stream stream = Stream::on_host_memory(strict);
  emulation::fail_next("cudaMallocFromPoolAsync", cudaErrorMemoryAllocation);
  EXPECT_EQ(error_of([&] { calls.run(stream); }).status(), LOWBIT_OUT_OF_MEMORY);
  emulation::fail_next("cudaMallocFromPoolAsync", cudaErrorMemoryAllocation);
  EXPECT_EQ(error_of([&] { HostCalls{strict}; }).status(), LOWBIT_OUT_OF_MEMORY);
  emulation::break_context(cudaErrorIllegalAddress);
  EXPECT_EQ(error_of([&] { calls.run(stream); }).status(), LOWBIT_DEVICE_LOST);
  emulation::repair_context();
}

// What memory held before shows nowhere.
TEST_F(CudaErrorsTest, NothingUnwrittenIsRead) {
  std::vector<std::vector<uint8_t>> results;
  for (uint8_t pattern : {0x00, 0xff, 0x7f}) {
    emulation::set_fill_pattern(pattern);
    const Operations operations(*device);
    const Stream stream(*device);
    operations.clear();
    operations.run(stream);
    stream.synchronize();
    results.push_back(operations.results());
  }
  EXPECT_EQ(results[1], results[0]);
  EXPECT_EQ(results[2], results[0]);
}

#endif

}  // namespace
}  // namespace lowbit::test
