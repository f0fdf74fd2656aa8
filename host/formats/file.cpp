#include "formats/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <filesystem>
#include <new>
#include <system_error>
#include <utility>

namespace lowbit::formats {
namespace {

namespace fs = std::filesystem;

constexpr size_t kChunk = size_t{1} << 18;  // bytes a read(2)

[[noreturn]] void fail(std::string_view what, const std::string& path, int error) {
  throw FileError(fmt::format("cannot {} {}: {}", what, quote(path), std::generic_category().message(error)));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  // A full disk or a lost server may be reported only here.
  bool close() { return ::close(std::exchange(fd_, -1)) == 0; }

 private:
  int fd_;
};

int open_retrying(const std::string& path, int flags) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

void write_all(int fd, std::span<const std::byte> bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), std::min(bytes.size(), size_t{SSIZE_MAX}));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail("write", path, n < 0 ? errno : EIO);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

// A name that no file in `folder` has, opened for writing. One process may hold several.
std::pair<std::string, int> open_temporary(const fs::path& folder, const std::string& path) {
  for (unsigned n = 0;; ++n) {
    const std::string name = (folder / fmt::format(".lowbit-{}-{}.tmp", ::getpid(), n)).string();
    const int fd = open_retrying(name, O_WRONLY | O_CREAT | O_EXCL);
    if (fd >= 0) return {name, fd};
    if (errno != EEXIST) fail("create", path, errno);
  }
}

bool is_standard_output(const struct stat& target) {
  struct stat out {};
  return ::fstat(STDOUT_FILENO, &out) == 0 && out.st_dev == target.st_dev && out.st_ino == target.st_ino;
}

void write_in_place(const std::string& path, std::span<const std::byte> bytes) {
  struct stat target {};
  const bool standard_output = ::stat(path.c_str(), &target) == 0 && is_standard_output(target);
  if (standard_output) std::fflush(stdout);  // what was printed before comes first
  Descriptor file(standard_output ? ::dup(STDOUT_FILENO) : open_retrying(path, O_WRONLY));
  if (file.get() < 0) fail("open", path, errno);
  write_all(file.get(), bytes, path);
  if (!file.close()) fail("write", path, errno);
}

}  // namespace

std::vector<std::byte> read_file(const std::string& path) {
  Descriptor file(open_retrying(path, O_RDONLY));
  if (file.get() < 0) fail("open", path, errno);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) fail("read", path, errno);
  try {
    std::vector<std::byte> bytes;
    // Only a hint: /proc and pipes say 0, and a file may grow meanwhile.
    if (S_ISREG(status.st_mode)) bytes.reserve(static_cast<size_t>(status.st_size));
    std::vector<std::byte> chunk(kChunk);
    for (;;) {
      const ssize_t n = ::read(file.get(), chunk.data(), chunk.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail("read", path, errno);
      if (n == 0) return bytes;
      bytes.insert(bytes.end(), chunk.begin(), chunk.begin() + n);
    }
  } catch (const std::bad_alloc&) {
    fail("read", path, ENOMEM);
  } catch (const std::length_error&) {
    fail("read", path, EFBIG);
  }
}

AtomicFiles::~AtomicFiles() {
  for (const Staged& file : staged_) {
    if (!file.temporary.empty()) ::unlink(file.temporary.c_str());
  }
}

void AtomicFiles::add(const std::string& path, std::span<const std::byte> bytes) {
  struct stat status {};
  const bool exists = ::stat(path.c_str(), &status) == 0;
  if (!exists && errno != ENOENT) fail("create", path, errno);
  if (exists && S_ISDIR(status.st_mode)) fail("write", path, EISDIR);
  if (exists && (!S_ISREG(status.st_mode) || is_standard_output(status))) {
    in_place_.push_back({path, {bytes.begin(), bytes.end()}});
    return;
  }

  // Links are followed now, so that the temporary lies on the target's own disk, where rename(2) works.
  const fs::path asked(path);
  const fs::path parent = asked.has_parent_path() ? asked.parent_path() : fs::path(".");
  std::error_code error;
  const fs::path target = exists ? fs::canonical(asked, error) : fs::canonical(parent, error) / asked.filename();
  if (error) fail("create", path, error.value());
  if (asked.filename().empty()) fail("create", path, path.empty() ? ENOENT : EISDIR);
  for (const Staged& other : staged_) {
    if (other.target == target) throw FileError(fmt::format("{} is to be written twice", quote(path)));
  }

  staged_.push_back({path, target.string(), {}, {}});
  try {
    auto [name, fd] = open_temporary(target.parent_path(), path);
    Descriptor file(fd);
    staged_.back().temporary = std::move(name);
    write_all(file.get(), bytes, path);
    // Some file systems have no fsync; there the close is all that can be asked for.
    if (::fsync(file.get()) != 0 && errno != EINVAL && errno != ENOTSUP) fail("write", path, errno);
    if (!file.close()) fail("write", path, errno);
  } catch (...) {
    if (!staged_.back().temporary.empty()) ::unlink(staged_.back().temporary.c_str());
    staged_.pop_back();
    throw;
  }
}

void AtomicFiles::put_into_place(Staged& file, bool keep_backup) {
  struct stat status {};
  if (::lstat(file.target.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) fail("replace", file.path, EISDIR);
  if (keep_backup) {
    // A second name for the old file. Where hard links are unknown it is renamed, and its first name is missing until
    // the rename below.
    const std::string backup = file.temporary + ".old";
    if (::link(file.target.c_str(), backup.c_str()) == 0 ||
        (errno != ENOENT && ::rename(file.target.c_str(), backup.c_str()) == 0)) {
      file.backup = backup;
    } else if (errno != ENOENT) {
      fail("replace", file.path, errno);
    }
  }
  if (::rename(file.temporary.c_str(), file.target.c_str()) != 0) {
    const int error = errno;
    // rename(2) of two names of one file leaves both.
    if (!file.backup.empty() && ::rename(file.backup.c_str(), file.target.c_str()) == 0) {
      ::unlink(file.backup.c_str());
    }
    fail("replace", file.path, error);
  }
  file.temporary.clear();
}

void AtomicFiles::roll_back(std::span<Staged> moved) noexcept {
  for (Staged& file : moved) {
    if (file.backup.empty()) {
      ::unlink(file.target.c_str());
    } else {
      ::rename(file.backup.c_str(), file.target.c_str());
    }
  }
}

void AtomicFiles::commit() {
  for (const InPlace& file : in_place_) write_in_place(file.path, file.bytes);
  in_place_.clear();
  for (size_t i = 0; i < staged_.size(); ++i) {
    try {
      // Nothing can fail after the last one, so it needs no way back: a single file is replaced by one rename.
      put_into_place(staged_[i], i + 1 < staged_.size());
    } catch (...) {
      roll_back(std::span(staged_).first(i));
      staged_.erase(staged_.begin(), staged_.begin() + static_cast<std::ptrdiff_t>(i));
      throw;
    }
  }
  for (const Staged& file : staged_) {
    if (!file.backup.empty()) ::unlink(file.backup.c_str());
  }
  staged_.clear();
}

std::string quote(std::string_view text) {
  constexpr size_t kLongest = 80;
  size_t shown = text.size();
  if (shown > kLongest) {
    shown = kLongest;
    while (shown > kLongest - 4 && (static_cast<unsigned char>(text[shown]) & 0xC0) == 0x80) --shown;  // whole letters
  }
  std::string out = "'";
  for (const char c : text.substr(0, shown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out + (shown < text.size() ? "...'" : "'");
}

std::string join(std::span<const int64_t> numbers, std::string_view separator) {
  std::string out;
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (i > 0) out += separator;
    out += std::to_string(numbers[i]);
  }
  return out;
}

std::string shape_text(std::span<const int64_t> shape) {
  constexpr size_t kMost = 8;
  const auto first = shape.first(std::min(shape.size(), kMost));
  return fmt::format("[{}{}]", join(first, ", "), shape.size() > kMost ? ", ..." : "");
}

std::optional<int64_t> tensor_bytes(std::span<const int64_t> shape, int64_t item_bytes) {
  int64_t bytes = item_bytes;
  for (const int64_t axis : shape) {
    if (axis != 0 && __builtin_mul_overflow(bytes, axis, &bytes)) return std::nullopt;
  }
  return std::ranges::find(shape, 0) == shape.end() ? bytes : 0;
}

}  // namespace lowbit::formats
