#include "rho_statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "call.h"
#include "host_memory.h"
#include "reference/kernels.h"

namespace lowbit::core {
namespace {

// The tensor's bytes from its first element to its last, in host memory, and the tensor there. The copy is enqueued.
struct Copy {
  Status read(Stream& stream, const Tensor& from) {
    bytes.resize(static_cast<size_t>(span_bytes(from)));
    tensor = from;
    tensor.data = bytes.data();
    tensor.offset = tensor.size = 0;
    return stream.copy_to_host(bytes.data(), from.data, from.offset, bytes.size());
  }
  std::vector<std::byte> bytes;
  Tensor tensor{};
};

double divided(double sum, uint64_t count) { return count == 0 ? 0 : sum / static_cast<double>(count); }

}  // namespace

Status RhoStatistics::add(Stream& stream, const RhoCompress& op) {
  Copy input, packed, scales;
  LOWBIT_TRY(input.read(stream, op.input));
  LOWBIT_TRY(packed.read(stream, op.packed));
  LOWBIT_TRY(scales.read(stream, op.scales));
  LOWBIT_TRY(stream.synchronize());
  std::vector<float> expanded(static_cast<size_t>(op.n));
  const Tensor output{.data = expanded.data(), .shape = {op.n}, .row_stride = op.n, .rank = 1, .type = LOWBIT_TYPE_F32};
  LOWBIT_TRY(reference::rho_expand(stream, {packed.tensor, scales.tensor, output, op.encoding, op.n}));

  uint64_t values = 0;
  double before = 0, after = 0, errors = 0, largest = 0;
  const int64_t length = row_length(op.input);
  for (int64_t i = 0; i < op.n; ++i) {
    const double x = row<float>(input.tensor, i / length)[i % length], y = expanded[static_cast<size_t>(i)];
    if (!std::isfinite(x) || !std::isfinite(y)) continue;
    ++values;
    before += x * x;
    after += y * y;
    errors += std::abs(y - x);
    largest = std::max(largest, std::abs(y - x));
  }
  const double rms = std::sqrt(divided(before, values)), rms_after = std::sqrt(divided(after, values));
  const double ratio = rms > 0 ? rms_after / rms : 1;  // zeros stay zeros
  ++calls_;
  values_ += values;
  non_finite_ += static_cast<uint64_t>(op.n) - values;
  bytes_before_ += static_cast<uint64_t>(op.n) * sizeof(float);
  bytes_after_ += packed.bytes.size() + scales.bytes.size();
  squares_before_ += before;
  squares_after_ += after;
  errors_ += errors;
  largest_error_ = std::max(largest_error_, largest);
  if (rms > 0) {
    relative_errors_ += errors / rms;
    largest_relative_error_ = std::max(largest_relative_error_, largest / rms);
  }
  smallest_rms_ratio_ = calls_ == 1 ? ratio : std::min(smallest_rms_ratio_, ratio);
  largest_rms_ratio_ = std::max(largest_rms_ratio_, ratio);
  return {};
}

lowbit_rho_statistics RhoStatistics::sums() const {
  return {.calls = calls_,
          .values = values_,
          .non_finite = non_finite_,
          .bytes_before = bytes_before_,
          .bytes_after = bytes_after_,
          .rms_before = std::sqrt(divided(squares_before_, values_)),
          .rms_after = std::sqrt(divided(squares_after_, values_)),
          .mean_error = divided(errors_, values_),
          .largest_error = largest_error_,
          .mean_relative_error = divided(relative_errors_, values_),
          .largest_relative_error = largest_relative_error_,
          .smallest_rms_ratio = smallest_rms_ratio_,
          .largest_rms_ratio = largest_rms_ratio_};
}

namespace {

constexpr lowbit_rho_gate kInt8Gate = {.struct_size = sizeof(lowbit_rho_gate),
                                       .mean_relative_error = 0.02,
                                       .largest_relative_error = 0.05,
                                       .smallest_rms_ratio = 0.95,
                                       .largest_rms_ratio = 1.05,
                                       .bytes_ratio = 0.5};

// "" for what passes. A limit or a measure that is NaN passes nothing.
std::string failure(const lowbit_rho_statistics& s, const lowbit_rho_gate& gate) {
  if (s.calls == 0) return "nothing was compressed";
  if (s.non_finite != 0) return fmt::format("{} values are not finite", s.non_finite);
  const double bytes_ratio = static_cast<double>(s.bytes_after) / static_cast<double>(s.bytes_before);
  const struct {
    const char* name;
    double measured, limit;
    bool passes;
  } measures[] = {
      {"mean_relative_error", s.mean_relative_error, gate.mean_relative_error,
       s.mean_relative_error <= gate.mean_relative_error},
      {"largest_relative_error", s.largest_relative_error, gate.largest_relative_error,
       s.largest_relative_error <= gate.largest_relative_error},
      {"smallest_rms_ratio", s.smallest_rms_ratio, gate.smallest_rms_ratio,
       s.smallest_rms_ratio >= gate.smallest_rms_ratio},
      {"largest_rms_ratio", s.largest_rms_ratio, gate.largest_rms_ratio, s.largest_rms_ratio <= gate.largest_rms_ratio},
      {"bytes_ratio", bytes_ratio, gate.bytes_ratio, bytes_ratio <= gate.bytes_ratio},
  };
  for (const auto& m : measures) {
    if (!m.passes) return fmt::format("{} is {:.4g}, the gate has {:.4g}", m.name, m.measured, m.limit);
  }
  return "";
}

}  // namespace
}  // namespace lowbit::core

using namespace lowbit::core;

lowbit_status lowbit_rho_statistics_start(lowbit_stream* stream) {
  return boundary([&]() -> Status {
    const Validator check("rho_statistics_start");
    if (stream == nullptr) return check.fail("stream is NULL");
    Stream& on = *stream->stream;
    if (on.device().backend() == Backend::vulkan && on.native() != nullptr) {
      return {LOWBIT_UNSUPPORTED,
              "rho_statistics_start: the stream is the caller's command buffer, nothing can be read"};
    }
    on.rho_statistics = std::make_shared<RhoStatistics>();
    return {};
  });
}

lowbit_status lowbit_rho_statistics_stop(lowbit_stream* stream) {
  return boundary([&]() -> Status {
    if (stream == nullptr) return Validator("rho_statistics_stop").fail("stream is NULL");
    stream->stream->rho_statistics.reset();
    return {};
  });
}

lowbit_status lowbit_rho_statistics_get(const lowbit_stream* stream, lowbit_rho_statistics* statistics) {
  return boundary([&]() -> Status {
    const Validator check("rho_statistics_get");
    if (stream == nullptr) return check.fail("stream is NULL");
    LOWBIT_TRY(check_struct(check, "statistics", statistics));
    const RhoStatistics* measured = stream->stream->rho_statistics.get();
    if (measured == nullptr) return check.fail("the stream has no statistics: start them before");
    write_struct(measured->sums(), statistics);
    return {};
  });
}

lowbit_status lowbit_rho_gate_check(const lowbit_rho_statistics* statistics, const lowbit_rho_gate* gate,
                                    lowbit_rho_verdict* verdict) {
  return boundary([&]() -> Status {
    const Validator check("rho_gate_check");
    lowbit_rho_statistics s{};
    LOWBIT_TRY(read_struct(check, "statistics", statistics, &s));
    lowbit_rho_gate limits = kInt8Gate;
    if (gate != nullptr) LOWBIT_TRY(read_struct(check, "gate", gate, &limits));
    LOWBIT_TRY(check_struct(check, "verdict", verdict));
    const std::string reason = failure(s, limits);
    lowbit_rho_verdict made{.passed = reason.empty()};
    copy_text(made.reason, reason);
    write_struct(made, verdict);
    return {};
  });
}
