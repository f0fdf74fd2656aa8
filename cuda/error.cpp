#include "error.h"

#include <fmt/format.h>

namespace lowbit::core::cuda {

bool is_sticky(cudaError_t error) {
  switch (error) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorECCUncorrectable:
    case cudaErrorContextIsDestroyed:
    case cudaErrorDevicesUnavailable:
    case cudaErrorDeviceUninitialized:
    case cudaErrorCudartUnloading:
      return true;
    default:
      return false;
  }
}

Status check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return {};
  cudaGetLastError();
  const lowbit_status code = error == cudaErrorMemoryAllocation ? LOWBIT_OUT_OF_MEMORY
                             : is_sticky(error)                 ? LOWBIT_DEVICE_LOST
                                                                : LOWBIT_DRIVER_ERROR;
  return {code, fmt::format("{}: {} ({})", what, cudaGetErrorName(error), cudaGetErrorString(error)), error};
}

}  // namespace lowbit::core::cuda
