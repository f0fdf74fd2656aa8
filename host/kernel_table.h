// Choosing a kernel. The table is the one place that says which kernels there are and what each needs: a call takes the
// first row, top to bottom, that belongs to its device's backend, does its operation on its formats, reads its weight's
// layout, is made for its size, needs only features the device has, and is not barred by the parity guard.
//
// Kernel names: <operation>[_<activations>][_<weights>]_<backend>[_<feature>]
//   activations  f32 floats, a8 codes in 8-bit lanes (int8, int4, uint8); left out where it takes both or none
//   weights      w8 int8, w2 ternary, w1 binary, wx any of them; rho's encodings too
//   feature      of the cpu: the instruction set, scalar where it needs none, and of projections of codes the way (tiles,
//                sparse) where there are several; of cuda's projections: the way (scalar, sparse) or the instruction,
//                with _tiles for many rows where few have a kernel with it too; of vulkan's projections of codes: the way
//                (coopmat, tiles, rows, sparse) and but for coopmat the products (dot, plain); and of vulkan the
//                arithmetic (float, integer)
#pragma once

#include <optional>
#include <span>
#include <string>
#include <variant>

#include "device.h"
#include "guard_samples.h"
#include "layout.h"
#include "operations.h"
#include "profiler.h"
#include "work.h"

namespace lowbit::core {

template <typename Operation>
using KernelFunction = Status (*)(Stream&, const Operation&);

// In the order of lowbit_operation: the alternative that is held is the row's operation.
using Launch = std::variant<KernelFunction<QuantizePack>, KernelFunction<PackWeight>, KernelFunction<LowrankProjection>,
                            KernelFunction<DecoderTail>, KernelFunction<RhoCompress>, KernelFunction<RhoExpand>>;

// An integer sum of this many products of bytes fits in 32 bits: 255 * 128 * 65536 < 2^31.
constexpr int64_t kNarrowDepth = 65536;

struct KernelRow {
  const char* name;
  Backend backend;
  uint64_t features;      // lowbit_feature bits, all of them needed
  FormatSet activations;  // formats read, or made by quantize_pack; empty where the operation has none
  FormatSet weights;      // weight formats or rho encodings; likewise
  LayoutSet layouts;      // weight layouts it reads; likewise
  Launch launch;
  // Of a projection that it takes: see ProjectionSize.
  int64_t min_rows = 1, max_rows = INT64_MAX;
  int64_t max_depth = INT64_MAX;
  int64_t min_box_rows = 0;
  int64_t min_outputs = 0;  // for each multiprocessor: below, kernels with smaller tiles make use of more of them

  lowbit_operation operation() const { return static_cast<lowbit_operation>(launch.index()); }
  // What a weight is prepared for: the first layout it reads. Those that read `plain` were written for no other.
  Layout preferred_layout() const { return layouts.first(); }
};

// Every kernel of this build, best first.
std::span<const KernelRow> kernel_table();

// How large a projection is. Of one that is not known in full, rows, depth or outputs are 0 and rule out no kernel.
struct ProjectionSize {
  int64_t rows;      // of activations: B * T
  int64_t depth;     // products that an output sums: E, or H * l
  int64_t outputs;   // in all
  int64_t box_rows;  // of activations that a tensor copy reaches at once: they lie evenly, a multiple of 16 bytes apart
};

struct Request {
  lowbit_operation operation;
  std::optional<lowbit_format> activations;
  std::optional<lowbit_format> weights;
  std::optional<Layout> layout;
  std::optional<ProjectionSize> size = {};
};

// Whether the row is of the device's backend, or of the reference, which may fill in for it.
bool may_serve_on(const Device& device, const KernelRow& kernel);
bool has_features(const Device& device, const KernelRow& kernel);
// Whether the row is made for such a call on such a device, whatever the device has and the guard found.
bool is_candidate(const Device& device, const KernelRow& kernel, const Request& request);
// Whether it may serve: its features are there and it is not barred.
bool is_usable(const Device& device, const KernelRow& kernel);
// "" if it takes projections of this size, else what it takes: "takes 33 rows and more".
std::string size_limit(const Device& device, const KernelRow& kernel, const ProjectionSize& size);
// Why a candidate is passed over, for people: "feature_missing: avx2".
std::string why_not(const Device& device, const KernelRow& kernel);

// The row that serves the request; LOWBIT_UNSUPPORTED with the reasons when there is none.
Status choose(const Device& device, const Request& request, const KernelRow** kernel);

// LOWBIT_NOT_READY where the stream is being captured and the guard, which cannot test then, has not seen the kernel.
Status check_ready(const Stream& stream, const KernelRow& kernel);

// Keeps with the stream that another backend's kernel serves, and why.
void note_fallback(Stream& stream, const KernelRow& kernel);

// launch() before the parity guard looks.
template <typename Operation>
Status execute(Stream& stream, const KernelRow& kernel, const Operation& operation) {
  LOWBIT_TRY(check_ready(stream, kernel));
  stream.last_kernel = kernel.name;
  if (kernel.backend != stream.device().backend()) note_fallback(stream, kernel);
  const auto function = std::get<KernelFunction<Operation>>(kernel.launch);
  Profiler* const profiler = stream.device().profiler();
  if (profiler == nullptr || !stream.is_measured) return function(stream, operation);
  Profiler::Call call{kernel.name, work_of(operation)};
  LOWBIT_TRY(profiler->begin(stream, &call));
  return profiler->end(stream, &call, function(stream, operation));
}

// Runs `operation` by `kernel` on `stream`.
template <typename Operation>
Status launch(Stream& stream, const KernelRow& kernel, const Operation& operation) {
  LOWBIT_TRY(execute(stream, kernel, operation));
  return stream.samples == nullptr ? Status() : stream.samples->take(kernel, operation);
}

// Runs it by the first kernel that fits.
template <typename Operation>
Status run(Stream& stream, const Request& request, const Operation& operation) {
  const KernelRow* kernel = nullptr;
  LOWBIT_TRY(choose(stream.device(), request, &kernel));
  return launch(stream, *kernel, operation);
}

}  // namespace lowbit::core
