#include "formats/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>

namespace lowbit::formats {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kVersionEnd = 8;  // magic and version
constexpr size_t kAlignment = 64;  // of the items in a written file, so that they can be mapped

// The items that are read and written, and their bytes. Complex numbers, text, dates, structures and big endian are
// not.
constexpr std::pair<std::string_view, int64_t> kItemBytes[] = {
    {"|b1", 1}, {"|i1", 1}, {"|u1", 1}, {"<i2", 2}, {"<u2", 2}, {"<f2", 2},
    {"<i4", 4}, {"<u4", 4}, {"<f4", 4}, {"<i8", 8}, {"<u8", 8}, {"<f8", 8},
};

std::optional<int64_t> item_bytes(std::string_view dtype) {
  const auto row = std::ranges::find(kItemBytes, dtype, &std::pair<std::string_view, int64_t>::first);
  return row == std::end(kItemBytes) ? std::nullopt : std::optional(row->second);
}

struct Header {
  std::string dtype;
  bool fortran_order = false;
  std::vector<int64_t> shape;
};

// Reads the one dict that Python's repr() writes there: the three keys, each once, in any order; a text without
// escapes, True or False, a tuple of whole numbers. Not a general literal: what else Python would accept is a fault.
class DictReader {
 public:
  DictReader(std::string_view text, const std::string& label) : rest_(text), size_(text.size()), label_(label) {}

  Header read() {
    Header header;
    bool dtype = false, order = false, shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string_view key = text("a key");
      bool* seen = key == "descr" ? &dtype : key == "fortran_order" ? &order : key == "shape" ? &shape : nullptr;
      if (seen == nullptr) fail(fmt::format("unknown key {}", quote(key)));
      if (std::exchange(*seen, true)) fail(fmt::format("'{}' comes twice", key));
      expect(':');
      if (seen == &dtype) header.dtype = text("a plain dtype in quotes");
      if (seen == &order) header.fortran_order = boolean();
      if (seen == &shape) header.shape = tuple();
      if (!accept(',') && !peek('}')) fail("',' or '}' is missing");
    }
    skip_space();
    if (!rest_.empty()) fail("text behind the closing '}'");
    const char* missing = !dtype ? "descr" : !order ? "fortran_order" : !shape ? "shape" : nullptr;
    if (missing != nullptr) fail(fmt::format("'{}' is missing", missing));
    return header;
  }

 private:
  [[noreturn]] void fail(std::string_view fault) const {
    throw FileError(fmt::format("{}: the header is not the dict of an .npy file; at its byte {}: {}", label_,
                                size_ - rest_.size(), fault));
  }

  void skip_space() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size())); }
  bool peek(char c) {
    skip_space();
    return rest_.starts_with(c);
  }
  bool accept(char c) {
    const bool found = peek(c);
    if (found) rest_.remove_prefix(1);
    return found;
  }
  void expect(char c) {
    if (!accept(c)) fail(fmt::format("'{}' is missing", c));
  }
  bool accept_word(std::string_view word) {
    const bool found = rest_.starts_with(word);
    if (found) rest_.remove_prefix(word.size());
    return found;
  }

  std::string_view text(std::string_view what) {
    if (!peek('\'') && !peek('"')) fail(fmt::format("{} is missing", what));
    const size_t end = rest_.find(rest_[0], 1);
    if (end == std::string_view::npos) fail("an open quote");
    const std::string_view inside = rest_.substr(1, end - 1);
    if (inside.find_first_of("\\\n") != std::string_view::npos) fail("an escape or a line's end in quotes");
    rest_.remove_prefix(end + 1);
    return inside;
  }

  bool boolean() {
    skip_space();
    if (accept_word("True")) return true;
    if (accept_word("False")) return false;
    fail("True or False is missing");
  }

  std::vector<int64_t> tuple() {
    std::vector<int64_t> axes;
    expect('(');
    bool comma = true;
    while (!accept(')')) {
      if (!comma) fail("',' or ')' is missing");
      axes.push_back(number());
      comma = accept(',');
    }
    if (axes.size() == 1 && !comma) fail("a number in brackets, not a tuple");
    return axes;
  }

  int64_t number() {
    skip_space();
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    const auto digits = static_cast<size_t>(std::ranges::find_if_not(rest_, is_digit) - rest_.begin());
    if (digits == 0) fail("a whole number from 0 to 2^63-1 is missing");
    if (digits > 1 && rest_[0] == '0') fail("a number with a leading zero");
    int64_t value = 0;
    for (const char c : rest_.substr(0, digits)) {
      if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, c - '0', &value)) {
        fail("a number above 2^63-1");
      }
    }
    rest_.remove_prefix(digits);
    return value;
  }

  std::string_view rest_;
  size_t size_;
  const std::string& label_;
};

// Where the header's text stands in the file; throws if the file is not an .npy file or too short for it.
std::string_view header_text(std::string_view file, const std::string& label) {
  if (!file.starts_with(kMagic)) throw FileError(label + ": the file does not begin as an .npy file does");
  if (file.size() < kVersionEnd) throw FileError(label + ": the file ends in its version");
  const int major = static_cast<unsigned char>(file[6]), minor = static_cast<unsigned char>(file[7]);
  if (major < 1 || major > 3 || minor != 0) {
    throw FileError(fmt::format("{}: the version is {}.{}, it must be 1.0, 2.0 or 3.0", label, major, minor));
  }
  const size_t length_bytes = major == 1 ? 2 : 4;
  const size_t begin = kVersionEnd + length_bytes;
  if (file.size() < begin) throw FileError(label + ": the file ends in its header's length");
  size_t length = 0;
  for (size_t i = begin; i-- > kVersionEnd;) length = length << 8 | static_cast<unsigned char>(file[i]);
  if (length > file.size() - begin) {
    throw FileError(
        fmt::format("{}: the header's length is {}, but only {} bytes follow it", label, length, file.size() - begin));
  }
  return file.substr(begin, length);
}

}  // namespace

int64_t Npy::count() const { return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>()); }

Npy read_npy(const std::string& path, std::string_view expected_dtype) {
  return parse_npy(read_file(path), expected_dtype, path);
}

Npy parse_npy(std::vector<std::byte> file, std::string_view expected_dtype, const std::string& label) {
  const std::string_view chars(reinterpret_cast<const char*>(file.data()), file.size());
  const std::string_view text = header_text(chars, label);
  Header header = DictReader(text, label).read();
  if (!expected_dtype.empty() && header.dtype != expected_dtype) {
    throw FileError(fmt::format("{}: dtype is {}, it must be {}", label, quote(header.dtype), quote(expected_dtype)));
  }
  const auto item = item_bytes(header.dtype);
  if (!item) throw FileError(fmt::format("{}: dtype is {}, which is not read", label, quote(header.dtype)));
  if (header.fortran_order && std::ranges::count_if(header.shape, [](int64_t axis) { return axis > 1; }) > 1) {
    throw FileError(fmt::format("{}: the array of shape {} is in Fortran order, it must be in C order", label,
                                shape_text(header.shape)));
  }
  const auto needed = tensor_bytes(header.shape, *item);
  if (!needed) throw FileError(fmt::format("{}: shape {} is too large for 64 bits", label, shape_text(header.shape)));
  const auto data = static_cast<size_t>(text.data() + text.size() - chars.data());
  if (file.size() - data != static_cast<size_t>(*needed)) {
    throw FileError(fmt::format("{}: {} bytes follow the header, dtype {} and shape {} need {}", label,
                                file.size() - data, quote(header.dtype), shape_text(header.shape), *needed));
  }
  file.erase(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(data));
  return {std::move(header.dtype), std::move(header.shape), std::move(file)};
}

std::vector<std::byte> npy_bytes(std::string_view dtype, std::span<const int64_t> shape,
                                 std::span<const std::byte> data) {
  const auto item = item_bytes(dtype);
  if (!item) throw FileError(fmt::format("an array to be written: dtype {} is not written", quote(dtype)));
  const bool negative = std::ranges::any_of(shape, [](int64_t axis) { return axis < 0; });
  const auto needed = negative ? std::nullopt : tensor_bytes(shape, *item);
  if (!needed || data.size() != static_cast<size_t>(*needed)) {
    throw FileError(fmt::format("an array to be written: {} bytes are not an array of dtype {} and shape {}",
                                data.size(), quote(dtype), shape_text(shape)));
  }

  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}", dtype,
                                   join(shape, ", "), shape.size() == 1 ? "," : "");
  // NumPy leaves room for a first axis of 21 digits, so that a file can grow in place.
  constexpr size_t kGrowthDigits = 21;
  if (!shape.empty()) header.append(kGrowthDigits - std::min(kGrowthDigits, fmt::formatted_size("{}", shape[0])), ' ');
  // One to 64 spaces and a line's end fill up to the alignment.
  const size_t begin = kVersionEnd + 2;
  header.append(kAlignment - (begin + header.size() + 1) % kAlignment, ' ');
  header += '\n';
  if (header.size() > std::numeric_limits<uint16_t>::max()) {
    throw FileError(fmt::format("an array to be written: {} axes are too many for version 1.0", shape.size()));
  }
  std::string front(kMagic);
  front += {'\x01', '\0', static_cast<char>(header.size() & 0xFF), static_cast<char>(header.size() >> 8)};
  front += header;

  std::vector<std::byte> file;
  file.reserve(front.size() + data.size());
  const auto front_bytes = std::as_bytes(std::span(front));
  file.insert(file.end(), front_bytes.begin(), front_bytes.end());
  file.insert(file.end(), data.begin(), data.end());
  return file;
}

}  // namespace lowbit::formats
