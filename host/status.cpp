#include "status.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <exception>
#include <string_view>

namespace lowbit::core {
namespace {

// A fixed buffer, so that reporting that memory ran out needs none.
struct LastError {
  int64_t native_code = 0;
  std::array<char, 1024> sentence{};
};
thread_local LastError last_error;

lowbit_status remember(lowbit_status code, int64_t native_code, std::string_view sentence) noexcept {
  last_error.native_code = native_code;
  const size_t length = std::min(sentence.size(), last_error.sentence.size() - 1);
  std::copy_n(sentence.data(), length, last_error.sentence.data());
  last_error.sentence[length] = '\0';
  return code;
}

constexpr std::array kStatusNames = {"ok",          "invalid_argument", "unsupported",
                                     "unavailable", "not_ready",        "out_of_memory",
                                     "device_lost", "driver_error",     "internal"};

constexpr std::array kFallbackReasons = {"none",
                                         "quant_disabled",
                                         "missing_packed_artifacts",
                                         "native_low_bit_unavailable",
                                         "not_built",
                                         "no_driver",
                                         "driver_too_old",
                                         "no_device",
                                         "feature_missing",
                                         "parity_mismatch",
                                         "device_lost",
                                         "out_of_memory"};

}  // namespace

lowbit_fallback_reason Status::fallback_reason() const {
  if (reason_ != LOWBIT_FALLBACK_NONE) return reason_;
  switch (code_) {
    case LOWBIT_UNSUPPORTED:
      return LOWBIT_FALLBACK_FEATURE_MISSING;
    case LOWBIT_OUT_OF_MEMORY:
      return LOWBIT_FALLBACK_OUT_OF_MEMORY;
    case LOWBIT_DEVICE_LOST:
      return LOWBIT_FALLBACK_DEVICE_LOST;
    default:
      return LOWBIT_FALLBACK_NONE;
  }
}

Status unavailable(lowbit_fallback_reason reason, const std::string& detail, int64_t native_code) {
  return {LOWBIT_UNAVAILABLE, reason, std::string(lowbit_fallback_reason_name(reason)) + ": " + detail, native_code};
}

lowbit_status report(const Status& status) noexcept {
  return status.ok() ? LOWBIT_OK : remember(status.code(), status.native_code(), status.sentence());
}

lowbit_status report_exception() noexcept {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return remember(LOWBIT_OUT_OF_MEMORY, 0, "host memory ran out");
  } catch (const std::exception& error) {
    return remember(LOWBIT_INTERNAL, 0, error.what());
  } catch (...) {
    return remember(LOWBIT_INTERNAL, 0, "an exception of unknown type");
  }
}

}  // namespace lowbit::core

const char* lowbit_version(void) { return LOWBIT_VERSION; }

const char* lowbit_status_name(lowbit_status status) {
  const auto index = static_cast<size_t>(status);
  return index < lowbit::core::kStatusNames.size() ? lowbit::core::kStatusNames[index] : nullptr;
}

const char* lowbit_fallback_reason_name(lowbit_fallback_reason reason) {
  const auto index = static_cast<size_t>(reason);
  return index < lowbit::core::kFallbackReasons.size() ? lowbit::core::kFallbackReasons[index] : nullptr;
}

const char* lowbit_last_error(void) { return lowbit::core::last_error.sentence.data(); }

int64_t lowbit_last_native_code(void) { return lowbit::core::last_error.native_code; }
