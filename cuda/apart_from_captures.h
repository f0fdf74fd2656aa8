#pragma once

#include <cuda_runtime.h>

namespace lowbit::core::cuda {

// For a scope, this thread's calls are none that a capture of another thread has to fear: what is allocated and waited
// for here has no part in it.
class ApartFromCaptures {
 public:
  ApartFromCaptures() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  ~ApartFromCaptures() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  ApartFromCaptures(const ApartFromCaptures&) = delete;
  ApartFromCaptures& operator=(const ApartFromCaptures&) = delete;

 private:
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

}  // namespace lowbit::core::cuda
