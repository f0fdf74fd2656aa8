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

}  // namespace

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

const char* lowbit_last_error(void) { return lowbit::core::last_error.sentence.data(); }

int64_t lowbit_last_native_code(void) { return lowbit::core::last_error.native_code; }
