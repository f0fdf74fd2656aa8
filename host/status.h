// Errors as values. A Status is what every function below the C boundary returns; boundary() turns it, and whatever the
// standard library throws, into the code and the thread's sentence that lowbit.h promises.
#pragma once

#include <cstdint>
#include <new>
#include <string>
#include <utility>

#include "lowbit/lowbit.h"

namespace lowbit::core {

class [[nodiscard]] Status {
 public:
  Status() = default;  // success
  Status(lowbit_status code, std::string sentence, int64_t native_code = 0)
      : code_(code), native_code_(native_code), sentence_(std::move(sentence)) {}
  Status(lowbit_status code, lowbit_fallback_reason reason, std::string sentence, int64_t native_code = 0)
      : code_(code), reason_(reason), native_code_(native_code), sentence_(std::move(sentence)) {}

  bool ok() const { return code_ == LOWBIT_OK; }
  lowbit_status code() const { return code_; }
  int64_t native_code() const { return native_code_; }
  const std::string& sentence() const { return sentence_; }
  // Why something else may do instead what failed; LOWBIT_FALLBACK_NONE where nothing may.
  lowbit_fallback_reason fallback_reason() const;

 private:
  lowbit_status code_ = LOWBIT_OK;
  lowbit_fallback_reason reason_ = LOWBIT_FALLBACK_NONE;  // where the code alone does not tell it
  int64_t native_code_ = 0;
  std::string sentence_;
};

#define LOWBIT_TRY(expression)                                          \
  do {                                                                  \
    if (::lowbit::core::Status status_ = (expression); !status_.ok()) { \
      return status_;                                                   \
    }                                                                   \
  } while (false)

// LOWBIT_UNAVAILABLE: "no_driver: <detail>".
Status unavailable(lowbit_fallback_reason reason, const std::string& detail, int64_t native_code = 0);

// Stores the status for lowbit_last_error() and returns its code. A success leaves the last error as it was.
lowbit_status report(const Status& status) noexcept;
lowbit_status report_exception() noexcept;  // call inside a catch block

// Runs `body`, a callable that returns Status, behind the C boundary.
template <typename Body>
lowbit_status boundary(Body&& body) noexcept {
  try {
    return report(body());
  } catch (...) {
    return report_exception();
  }
}

}  // namespace lowbit::core
