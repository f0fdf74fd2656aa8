#include "console.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace cli {
namespace {

bool write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace

void write_out(std::string_view text) {
  if (!write_all(STDOUT_FILENO, text))
    throw std::runtime_error(fmt::format("cannot write to stdout: {}", std::strerror(errno)));
}

bool is_stdout(const std::string& path) {
  struct stat file, out;
  return ::stat(path.c_str(), &file) == 0 && ::fstat(STDOUT_FILENO, &out) == 0 && file.st_dev == out.st_dev &&
         file.st_ino == out.st_ino;
}

void print_error(std::string_view sentence) {
  std::string line = fmt::format("lowbit: {}", sentence);
  const auto is_control = [](char c) { return (c >= 0 && c < ' ') || c == 0x7F; };
  std::replace_if(line.begin(), line.end(), is_control, ' ');
  write_all(STDERR_FILENO, line + "\n");  // if even that fails, the exit code has to do
}

void Progress::update(int64_t done) {
  using namespace std::chrono_literals;
  const auto now = std::chrono::steady_clock::now();
  if (isatty(STDERR_FILENO) == 0 || (shown_ && now - last_ < 100ms)) return;
  last_ = now;
  shown_ = true;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double share = static_cast<double>(done) / static_cast<double>(total_);
  write_all(STDERR_FILENO, fmt::format("\r{} {:3.0f} %, {:.0f} s left  ", label_, 100 * share,
                                       share > 0 ? seconds / share - seconds : 0));
}

Progress::~Progress() {
  if (shown_) write_all(STDERR_FILENO, "\r\033[K");
}

}  // namespace cli
