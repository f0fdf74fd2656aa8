// Kernels that are wrong in one bit, for the tests of the parity guard. Each is the backend's plainest kernel of its
// operation, but for the lowest bit of an output's last element, which is flipped behind it by copies on the stream; so
// they can be had for every backend.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "backend.h"
#include "lowbit/lowbit.hpp"

namespace lowbit::test {

// The last row of the backend for the operation: it takes every size and needs no feature.
inline const core::KernelRow& plainest_kernel(core::Backend backend, lowbit_operation operation) {
  const core::KernelRow* plainest = nullptr;
  for (const core::KernelRow& row : core::kernel_table()) {
    const bool takes_codes = row.activations.empty() || row.activations.contains(LOWBIT_INT8);
    if (row.backend == backend && row.operation() == operation && takes_codes) plainest = &row;
  }
  return *plainest;
}

inline core::Status flip_last(core::Stream& stream, const core::Tensor& tensor) {
  const int64_t last = (core::row_count(tensor) - 1) * tensor.row_stride + core::row_length(tensor) - 1;
  const uint64_t at = tensor.offset + static_cast<uint64_t>(last) * (tensor.type == LOWBIT_TYPE_U8 ? 1 : 4);
  uint8_t byte = 0;
  LOWBIT_TRY(stream.copy_to_host(&byte, tensor.data, at, 1));
  LOWBIT_TRY(stream.synchronize());
  byte ^= 1;
  LOWBIT_TRY(stream.copy_to_device(tensor.data, at, &byte, 1));
  return stream.synchronize();
}

// `kOutput` is the member that gets the wrong bit, where it has at least `kLeast` elements.
template <typename Operation, auto kOutput, lowbit_operation kOperation, int64_t kLeast>
core::Status wrong_kernel(core::Stream& stream, const Operation& op) {
  const core::KernelRow& right = plainest_kernel(stream.device().backend(), kOperation);
  LOWBIT_TRY(std::get<core::KernelFunction<Operation>>(right.launch)(stream, op));
  const core::Tensor& output = op.*kOutput;
  return core::row_count(output) * core::row_length(output) < kLeast ? core::Status() : flip_last(stream, output);
}

// A kernel table with a wrong kernel of every operation above the right ones. A verdict outlives its device: `prefix`
// begins the names of the wrong ones, and is another for each test.
template <int64_t kLeast = 0>
struct WrongTable {
  WrongTable(core::Backend backend, const std::string& prefix) {
    using namespace core;
    const Launch wrong[] = {
        &wrong_kernel<QuantizePack, &QuantizePack::codes, LOWBIT_QUANTIZE_PACK, kLeast>,
        &wrong_kernel<PackWeight, &PackWeight::packed, LOWBIT_PACK_WEIGHT, kLeast>,
        &wrong_kernel<LowrankProjection, &LowrankProjection::output, LOWBIT_LOWRANK_PROJECTION, kLeast>,
        &wrong_kernel<DecoderTail, &DecoderTail::output, LOWBIT_DECODER_TAIL, kLeast>,
        &wrong_kernel<RhoCompress, &RhoCompress::packed, LOWBIT_RHO_COMPRESS, kLeast>,
        &wrong_kernel<RhoExpand, &RhoExpand::output, LOWBIT_RHO_EXPAND, kLeast>};
    for (const Launch& launch : wrong) {
      const auto operation = static_cast<lowbit_operation>(launch.index());
      KernelRow row = plainest_kernel(backend, operation);
      row.name = names.emplace_back(prefix + core::name_of(operation)).c_str();
      row.launch = launch;
      rows.push_back(row);
    }
    rows.insert(rows.end(), kernel_table().begin(), kernel_table().end());
  }
  WrongTable(const WrongTable&) = delete;
  WrongTable& operator=(const WrongTable&) = delete;

  std::deque<std::string> names;
  std::vector<core::KernelRow> rows;  // the wrong ones in the order of lowbit_operation
};

}  // namespace lowbit::test
