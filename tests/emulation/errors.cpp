#include <algorithm>
#include <iterator>

#include "runtime_api.h"

namespace {

struct ErrorText {
  cudaError_t error;
  const char *name, *sentence;
};
#define LOWBIT_ERROR(error, sentence) \
  { error, #error, sentence }
constexpr ErrorText kErrors[] = {
    LOWBIT_ERROR(cudaSuccess, "no error"),
    LOWBIT_ERROR(cudaErrorInvalidValue, "invalid argument"),
    LOWBIT_ERROR(cudaErrorMemoryAllocation, "out of memory"),
    LOWBIT_ERROR(cudaErrorCudartUnloading, "driver shutting down"),
    LOWBIT_ERROR(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    LOWBIT_ERROR(cudaErrorInvalidMemcpyDirection, "invalid copy direction for memcpy"),
    LOWBIT_ERROR(cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version"),
    LOWBIT_ERROR(cudaErrorDevicesUnavailable, "CUDA-capable device(s) is/are busy or unavailable"),
    LOWBIT_ERROR(cudaErrorInvalidDeviceFunction, "invalid device function"),
    LOWBIT_ERROR(cudaErrorNoDevice, "no CUDA-capable device is detected"),
    LOWBIT_ERROR(cudaErrorInvalidDevice, "invalid device ordinal"),
    LOWBIT_ERROR(cudaErrorDeviceUninitialized, "invalid device context"),
    LOWBIT_ERROR(cudaErrorNoKernelImageForDevice, "no kernel image is available for execution on the device"),
    LOWBIT_ERROR(cudaErrorECCUncorrectable, "uncorrectable ECC error encountered"),
    LOWBIT_ERROR(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    LOWBIT_ERROR(cudaErrorIllegalState, "the operation cannot be performed in the present state"),
    LOWBIT_ERROR(cudaErrorNotReady, "device not ready"),
    LOWBIT_ERROR(cudaErrorIllegalAddress, "an illegal memory access was encountered"),
    LOWBIT_ERROR(cudaErrorLaunchTimeout, "the launch timed out and was terminated"),
    LOWBIT_ERROR(cudaErrorContextIsDestroyed, "context is destroyed"),
    LOWBIT_ERROR(cudaErrorAssert, "device-side assert triggered"),
    LOWBIT_ERROR(cudaErrorHardwareStackError, "hardware stack error"),
    LOWBIT_ERROR(cudaErrorIllegalInstruction, "an illegal instruction was encountered"),
    LOWBIT_ERROR(cudaErrorMisalignedAddress, "misaligned address"),
    LOWBIT_ERROR(cudaErrorInvalidAddressSpace, "operation not supported on global/shared address space"),
    LOWBIT_ERROR(cudaErrorInvalidPc, "invalid program counter"),
    LOWBIT_ERROR(cudaErrorLaunchFailure, "unspecified launch failure"),
    LOWBIT_ERROR(cudaErrorNotSupported, "operation not supported"),
    LOWBIT_ERROR(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing"),
    LOWBIT_ERROR(cudaErrorStreamCaptureInvalidated, "operation failed due to a previous error during capture"),
    LOWBIT_ERROR(cudaErrorStreamCaptureUnmatched, "capture was not initiated in this stream"),
    LOWBIT_ERROR(cudaErrorStreamCaptureIsolation, "dependency created on uncaptured work in another stream"),
    LOWBIT_ERROR(cudaErrorCapturedEvent, "operation not permitted on an event last recorded in a capturing stream"),
    LOWBIT_ERROR(cudaErrorStreamCaptureWrongThread,
                 "attempt to terminate a thread-local capture sequence from another thread"),
    LOWBIT_ERROR(cudaErrorUnknown, "unknown error"),
};
#undef LOWBIT_ERROR

const ErrorText& text_of(cudaError_t error) {
  const auto found = std::find_if(std::begin(kErrors), std::end(kErrors), [=](auto& e) { return e.error == error; });
  return found != std::end(kErrors) ? *found : std::end(kErrors)[-1];
}

}  // namespace

const char* cudaGetErrorName(cudaError_t error) { return text_of(error).name; }
const char* cudaGetErrorString(cudaError_t error) { return text_of(error).sentence; }
