// The emulated runtime API: work waits until it is waited for, captures record and refuse, errors come when asked for.
#include <functional>
#include <thread>

#include "emulation/emulation.h"
#include "emulation/tests/kernel_test.h"

namespace lowbit::test {
namespace {

__global__ void add(int* value, int addend) { *value += addend; }

class EmulatedStream : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
    ASSERT_EQ(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking), cudaSuccess);
    ASSERT_EQ(cudaEventCreate(&event), cudaSuccess);
  }
  void TearDown() override {
    cudaEventDestroy(event);
    cudaStreamDestroy(other);
    cudaStreamDestroy(stream);
  }

  static cudaError_t add_on(cudaStream_t on, int* value, int addend) {
    const cudaLaunchConfig_t config{1, 1, 0, on};
    return cudaLaunchKernelEx(&config, add, value, addend);
  }
  cudaError_t begin(cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal) {
    return cudaStreamBeginCapture(stream, mode);
  }
  // A refused call spoils the capture.
  void expect_refused(const std::function<cudaError_t()>& body, cudaError_t error = cudaErrorStreamCaptureUnsupported) {
    ASSERT_EQ(begin(), cudaSuccess);
    EXPECT_EQ(body(), error);
    cudaStreamCaptureStatus status{};
    EXPECT_EQ(cudaStreamIsCapturing(stream, &status), cudaSuccess);
    EXPECT_EQ(status, cudaStreamCaptureStatusInvalidated);
    EXPECT_EQ(add_on(stream, number.data(), 1), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(graph, nullptr);
  }

  cudaStream_t stream = nullptr, other = nullptr;
  cudaEvent_t event = nullptr;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  DeviceArray<int> number{std::vector{100}};
};

TEST_F(EmulatedStream, DefersItsWork) {
  int* pinned = nullptr;
  ASSERT_EQ(cudaMallocHost(&pinned, sizeof(int)), cudaSuccess);
  *pinned = 1;
  EXPECT_EQ(cudaMemcpyAsync(number.data(), pinned, sizeof(int), cudaMemcpyHostToDevice, stream), cudaSuccess);
  EXPECT_EQ(add_on(stream, number.data(), 1), cudaSuccess);
  EXPECT_EQ(number.values()[0], 100);
  *pinned = 7;  // before the copy: a mistake that shows
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(number.values()[0], 8);

  // Back into pinned memory, too.
  EXPECT_EQ(cudaMemcpyAsync(pinned, number.data(), sizeof(int), cudaMemcpyDeviceToHost, stream), cudaSuccess);
  EXPECT_EQ(*pinned, 7);
  EXPECT_EQ(cudaStreamQuery(stream), cudaErrorNotReady);
  EXPECT_EQ(cudaStreamQuery(stream), cudaSuccess);
  EXPECT_EQ(*pinned, 8);
  cudaFreeHost(pinned);
}

TEST_F(EmulatedStream, TakesPageableMemoryAtOnce) {
  int value = 1;
  EXPECT_EQ(cudaMemcpyAsync(number.data(), &value, sizeof(int), cudaMemcpyHostToDevice, stream), cudaSuccess);
  EXPECT_EQ(add_on(stream, number.data(), 1), cudaSuccess);
  value = 7;
  EXPECT_EQ(cudaMemcpyAsync(&value, number.data(), sizeof(int), cudaMemcpyDeviceToHost, stream), cudaSuccess);
  EXPECT_EQ(value, 2);
}

TEST_F(EmulatedStream, FreesInItsOrder) {
  int* memory = nullptr;
  ASSERT_EQ(cudaMallocAsync(&memory, sizeof(int), stream), cudaSuccess);
  EXPECT_EQ(cudaMemsetAsync(memory, 0, sizeof(int), stream), cudaSuccess);
  EXPECT_EQ(add_on(stream, memory, 1), cudaSuccess);
  EXPECT_EQ(cudaFreeAsync(memory, stream), cudaSuccess);
  EXPECT_EQ(cudaFreeAsync(memory, stream), cudaErrorInvalidValue);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
}

TEST_F(EmulatedStream, WaitsForAnEvent) {
  EXPECT_EQ(add_on(stream, number.data(), 1), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(event, stream), cudaSuccess);
  EXPECT_EQ(add_on(stream, number.data(), 1000), cudaSuccess);  // after what the event marks
  EXPECT_EQ(cudaStreamWaitEvent(other, event), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(other), cudaSuccess);
  EXPECT_EQ(number.values()[0], 101);
  EXPECT_EQ(cudaEventQuery(event), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(event, stream), cudaSuccess);
  EXPECT_EQ(cudaEventQuery(event), cudaErrorNotReady);
  EXPECT_EQ(cudaEventSynchronize(event), cudaSuccess);
  EXPECT_EQ(number.values()[0], 1101);
}

TEST_F(EmulatedStream, ReplaysWhatItCaptured) {
  ASSERT_EQ(begin(), cudaSuccess);
  EXPECT_EQ(add_on(stream, number.data(), 1), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(event, stream), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(other, event), cudaSuccess);  // and joins
  EXPECT_EQ(add_on(other, number.data(), 10), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(event, other), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(stream, event), cudaSuccess);
  ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  ASSERT_EQ(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(number.values()[0], 100);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
  EXPECT_EQ(cudaGraphExecDestroy(exec), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(number.values()[0], 133);
}

TEST_F(EmulatedStream, RefusesWhileItCaptures) {
  void* memory = nullptr;
  int value = 0;
  expect_refused([&] { return cudaStreamSynchronize(stream); });
  expect_refused([&] { return cudaStreamQuery(stream); });
  expect_refused([&] { return cudaDeviceSynchronize(); });
  expect_refused([&] { return cudaMalloc(&memory, 4); });
  expect_refused([&] { return cudaFree(nullptr); });
  expect_refused([&] { return cudaMallocHost(&memory, 4); });
  expect_refused([&] { return cudaMemcpy(&value, number.data(), 4, cudaMemcpyDeviceToHost); });
  expect_refused([&] { return cudaEventRecord(event, stream), cudaEventSynchronize(event); }, cudaErrorCapturedEvent);
  expect_refused([&] { return cudaEventRecord(event, other), cudaStreamWaitEvent(stream, event); },
                 cudaErrorStreamCaptureIsolation);
}

TEST_F(EmulatedStream, CapturesInModes) {
  cudaError_t in_other_thread = cudaSuccess;
  const auto allocate_in_other_thread = [&](cudaStreamCaptureMode mode) {
    std::thread([&] {
      void* memory = nullptr;
      cudaThreadExchangeStreamCaptureMode(&mode);
      in_other_thread = cudaMallocHost(&memory, 4);
      if (in_other_thread == cudaSuccess) cudaFreeHost(memory);
    }).join();
    return in_other_thread;
  };
  ASSERT_EQ(begin(cudaStreamCaptureModeThreadLocal), cudaSuccess);
  EXPECT_EQ(allocate_in_other_thread(cudaStreamCaptureModeGlobal), cudaSuccess);
  ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  cudaGraphDestroy(graph);

  ASSERT_EQ(begin(), cudaSuccess);
  EXPECT_EQ(allocate_in_other_thread(cudaStreamCaptureModeRelaxed), cudaSuccess);
  EXPECT_EQ(allocate_in_other_thread(cudaStreamCaptureModeGlobal), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
}

TEST_F(EmulatedStream, ChecksLaunches) {
  const auto launch = [&](dim3 blocks, dim3 threads, size_t shared) {
    const cudaLaunchConfig_t config{blocks, threads, shared, stream};
    return cudaLaunchKernelEx(&config, add, number.data(), 0);
  };
  EXPECT_EQ(launch(0, 1, 0), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch(dim3(1, 65536), 1, 0), cudaErrorInvalidConfiguration);
  EXPECT_EQ(launch(1, 1025, 0), cudaErrorInvalidConfiguration);
  EXPECT_EQ(cudaPeekAtLastError(), cudaErrorInvalidConfiguration);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidConfiguration);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  EXPECT_EQ(launch(1, 1, 48 << 10), cudaSuccess);
  EXPECT_EQ(launch(1, 1, 49 << 10), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFuncSetAttribute(add, cudaFuncAttributeMaxDynamicSharedMemorySize, 64 << 10), cudaSuccess);
  EXPECT_EQ(launch(1, 1, 49 << 10), cudaSuccess);
  EXPECT_EQ(cudaFuncSetAttribute(add, cudaFuncAttributeMaxDynamicSharedMemorySize, 228 << 10), cudaErrorInvalidValue);
}

TEST_F(EmulatedStream, KnowsItsMemory) {
  cudaPointerAttributes attributes{};
  int pageable = 0;
  EXPECT_EQ(cudaPointerGetAttributes(&attributes, &pageable), cudaSuccess);
  EXPECT_EQ(attributes.type, cudaMemoryTypeUnregistered);
  EXPECT_EQ(cudaPointerGetAttributes(&attributes, number.data()), cudaSuccess);
  EXPECT_EQ(attributes.type, cudaMemoryTypeDevice);
  EXPECT_EQ(cudaMemcpy(&pageable, number.data(), 5, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(&pageable, number.data(), 4, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  void* memory = nullptr;
  EXPECT_EQ(cudaMalloc(&memory, (size_t{4} << 30) + 1), cudaErrorMemoryAllocation);
}

TEST_F(EmulatedStream, FailsWhenAskedTo) {
  void* memory = nullptr;
  emulation::fail_next("cudaMallocAsync", cudaErrorMemoryAllocation);
  const size_t before = emulation::allocations();
  EXPECT_EQ(cudaMallocAsync(&memory, 4, stream), cudaErrorMemoryAllocation);
  EXPECT_EQ(emulation::allocations(), before);
  EXPECT_EQ(cudaMallocAsync(&memory, 4, stream), cudaSuccess);
  EXPECT_EQ(emulation::allocations(), before + 1);
  EXPECT_EQ(cudaFreeAsync(memory, stream), cudaSuccess);

  emulation::break_context(cudaErrorIllegalAddress);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorIllegalAddress);
  EXPECT_EQ(add_on(stream, number.data(), 1), cudaErrorIllegalAddress);
  EXPECT_STREQ(cudaGetErrorName(cudaGetLastError()), "cudaErrorIllegalAddress");
  emulation::repair_context();
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
}

TEST_F(EmulatedStream, IsSharedByThreads) {
  const auto work = [&] {
    for (int i = 0; i < 50; ++i) {
      EXPECT_EQ(add_on(stream, number.data(), 1), cudaSuccess);
      EXPECT_EQ(i % 7 == 0 ? cudaStreamSynchronize(stream) : cudaSuccess, cudaSuccess);
    }
  };
  std::thread first(work), second(work);
  first.join(), second.join();
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  EXPECT_EQ(number.values()[0], 200);
}

TEST(EmulatedDevice, IsWhatTestsSay) {
  int count = -1, value = 0;
  emulation::set_driver(0);
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorInsufficientDriver);
  emulation::set_driver(13000);
  emulation::set_device_count(0);
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorNoDevice);
  EXPECT_EQ(count, 0);
  emulation::set_device_count(2);
  EXPECT_EQ(cudaSetDevice(1), cudaSuccess);
  EXPECT_EQ(cudaSetDevice(2), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaGetDevice(&value), cudaSuccess);
  EXPECT_EQ(value, 1);
  cudaDeviceProp first{}, second{};
  EXPECT_EQ(cudaGetDeviceProperties(&first, 0), cudaSuccess);
  EXPECT_EQ(cudaGetDeviceProperties(&second, 1), cudaSuccess);
  EXPECT_NE(first.uuid.bytes[15], second.uuid.bytes[15]);
  emulation::set_compute_capability(7, 5);
  EXPECT_EQ(cudaDeviceGetAttribute(&value, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0), cudaSuccess);
  EXPECT_EQ(value, 64 << 10);
  emulation::set_compute_capability(9, 0);
  cudaSetDevice(0);
  emulation::set_device_count(1);
}

}  // namespace
}  // namespace lowbit::test
