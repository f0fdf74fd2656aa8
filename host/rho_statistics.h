// What compression did to the tensors of a stream's rho_compress calls.
#pragma once

#include <cstdint>

#include "device.h"
#include "operations.h"

namespace lowbit::core {

class RhoStatistics {
 public:
  // Reads back what a call on the stream was given and made, and adds it up. Waits.
  Status add(Stream& stream, const RhoCompress& op);
  lowbit_rho_statistics sums() const;

 private:
  uint64_t calls_ = 0, values_ = 0, non_finite_ = 0, bytes_before_ = 0, bytes_after_ = 0;
  double squares_before_ = 0, squares_after_ = 0;            // sums
  double errors_ = 0, largest_error_ = 0;                    // absolute
  double relative_errors_ = 0, largest_relative_error_ = 0;  // to the call's RMS before
  double smallest_rms_ratio_ = 0, largest_rms_ratio_ = 0;    // of a call; 0 before the first
};

}  // namespace lowbit::core
