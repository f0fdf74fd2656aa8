// Whole files in and out, and what the readers of all formats share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace lowbit::formats {

// One sentence that names the file, the part of it and the fault.
class FileError : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The whole file, from its start to its end; a pipe is read until its writer closes it. There is no limit on the size
// but memory. Throws FileError with the system's reason: "cannot open 'x': No such file or directory".
std::vector<std::byte> read_file(const std::string& path);

// Writes several files so that either all of them appear, whole, or none.
//
//   AtomicFiles files;
//   files.add("a.bin", a);
//   files.add("b.bin", b);
//   files.commit();
//
// A reader of a target sees its old content or its new one, never a part. Until commit() a target is untouched, and if
// commit() throws, every target is again what it was. Two things are not promised: that a crash in the midst of
// commit() leaves several files all old or all new, and that a killed process leaves no ".lowbit-*.tmp" behind.
//
// A symbolic link to a file stays and the file behind it is replaced. A replaced file gets the permissions of a new
// one. What is not a regular file (/dev/full, a pipe), and whatever standard output goes to, cannot be replaced:
// commit() writes those first, in place, and their bytes cannot be taken back if a later one fails.
class AtomicFiles {
 public:
  AtomicFiles() = default;
  AtomicFiles(const AtomicFiles&) = delete;
  AtomicFiles& operator=(const AtomicFiles&) = delete;
  ~AtomicFiles();  // removes what was not committed

  // Writes `bytes` to a temporary beside the target, and to the disk. The bytes are not needed after the call.
  // Throws FileError if that fails, or if the target is a folder or was added before.
  void add(const std::string& path, std::span<const std::byte> bytes);

  // Puts the files added so far into place and forgets them. Throws FileError, having undone what it did.
  void commit();

 private:
  struct Staged {
    std::string path;       // as the caller wrote it, for messages
    std::string target;     // the same without symbolic links
    std::string temporary;  // empty once it is in place
    std::string backup;     // the old file's second name during commit(), if it had one
  };
  struct InPlace {
    std::string path;
    std::vector<std::byte> bytes;
  };

  void put_into_place(Staged& file, bool keep_backup);
  void roll_back(std::span<Staged> moved) noexcept;

  std::vector<Staged> staged_;
  std::vector<InPlace> in_place_;
};

// `text` for a message: in single quotes, bytes that a terminal would act on as \xNN, cut after about 80 bytes.
std::string quote(std::string_view text);

// The numbers in decimal. (fmt::join of 9.1 draws a false warning from g++ 12 at -O3.)
std::string join(std::span<const int64_t> numbers, std::string_view separator);

// `shape` for a message: [2, 3], cut after 8 axes.
std::string shape_text(std::span<const int64_t> shape);

// The bytes of a dense tensor of `shape` (axes >= 0) with items of `item_bytes` > 0. Nothing if they do not fit in 63
// bits; axes of 0 are left out of that question, so that a product of any of the axes can be computed safely.
std::optional<int64_t> tensor_bytes(std::span<const int64_t> shape, int64_t item_bytes);

}  // namespace lowbit::formats
