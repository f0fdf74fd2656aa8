// stdout, stderr and progress.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace cli {

// Writes all of `text` to stdout now; throws std::runtime_error if it cannot be written (a full disk).
void write_out(std::string_view text);

// Whether writing to `path` writes to where stdout goes.
bool is_stdout(const std::string& path);

// One line on stderr: "lowbit: SENTENCE". Line breaks and what else a terminal would act on become spaces.
void print_error(std::string_view sentence);

// A line on stderr that keeps itself up to date while stderr is a terminal; nothing otherwise.
class Progress {
 public:
  Progress(std::string label, int64_t total) : label_(std::move(label)), total_(total) {}
  ~Progress();
  void update(int64_t done);

 private:
  std::string label_;
  int64_t total_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now(), last_;
};

}  // namespace cli
