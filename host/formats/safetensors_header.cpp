#include "formats/safetensors_header.h"

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

namespace lowbit::formats::detail {
namespace {

using nlohmann::json;

constexpr size_t kDigits = 40;  // of a number in a message; JSON allows any number of them

// Follows the header as a stream of tokens. No tree is built: the depth is bounded by the grammar, a repeated key is
// seen, and the first token out of place ends the parse.
class TokenReader final : public json::json_sax_t {
 public:
  TokenReader(const std::string& label, Header& header) : label_(label), header_(header) {}

  bool null() override { reject("null"); }
  bool boolean(bool value) override { reject(value ? "true" : "false"); }
  bool number_integer(json::number_integer_t value) override { reject(fmt::format("{}", value)); }
  bool number_float(json::number_float_t, const std::string& text) override { reject(text.substr(0, kDigits)); }
  bool binary(json::binary_t&) override { reject("binary"); }
  bool number_unsigned(json::number_unsigned_t value) override {
    if ((in_ != In::kShape && in_ != In::kOffsets) || value > uint64_t{std::numeric_limits<int64_t>::max()} ||
        (in_ == In::kOffsets && offsets_.size() == 2)) {
      reject(fmt::format("{}", value));
    }
    (in_ == In::kShape ? tensor().shape : offsets_).push_back(static_cast<int64_t>(value));
    return true;
  }
  bool string(std::string& text) override {
    if (in_ == In::kTexts) {
      if (!header_.metadata.emplace(key_, std::move(text)).second) fail(fmt::format("{} comes twice", quote(key_)));
    } else if (in_ == In::kTensor && key_ == "dtype") {
      tensor().dtype = std::move(text);
    } else {
      reject(fmt::format("the text {}", quote(text)));
    }
    return true;
  }
  bool key(std::string& name) override {
    key_ = std::move(name);
    if (in_ == In::kTensor) {
      bool* seen = key_ == "dtype" ? &seen_.dtype : key_ == "shape" ? &seen_.shape : &seen_.offsets;
      if (seen == &seen_.offsets && key_ != "data_offsets") fail(fmt::format("unknown field {}", quote(key_)));
      if (std::exchange(*seen, true)) fail(fmt::format("'{}' comes twice", key_));
    } else if (in_ == In::kRoot && key_ == kMetadata && std::exchange(metadata_seen_, true)) {
      throw FileError(fmt::format("{}: {} comes twice", label_, kMetadata));
    }
    return true;
  }
  bool start_object(size_t) override {
    if (in_ == In::kStart) {
      in_ = In::kRoot;
    } else if (in_ == In::kRoot && key_ == kMetadata) {
      in_ = In::kTexts;
    } else if (in_ == In::kRoot) {
      in_ = In::kTensor;
      header_.tensors.push_back({key_, {}, {}, {}});
      offsets_.clear();
      seen_ = {};
    } else {
      reject("an object");
    }
    return true;
  }
  bool end_object() override {
    if (in_ == In::kTensor) {
      const char* missing = !seen_.dtype ? "dtype" : !seen_.shape ? "shape" : !seen_.offsets ? "data_offsets" : nullptr;
      if (missing != nullptr) fail(fmt::format("'{}' is missing", missing));
      header_.ranges.push_back({offsets_[0], offsets_[1]});
    }
    in_ = In::kRoot;
    return true;
  }
  bool start_array(size_t) override {
    if (in_ != In::kTensor || key_ == "dtype") reject("a list");
    in_ = key_ == "shape" ? In::kShape : In::kOffsets;
    return true;
  }
  bool end_array() override {
    if (in_ == In::kOffsets && offsets_.size() != 2) reject("fewer");
    in_ = In::kTensor;
    return true;
  }
  bool parse_error(size_t position, const std::string& token, const json::exception& error) override {
    constexpr int kNumberTooLarge = 406;  // for a double, but valid JSON
    if (error.id == kNumberTooLarge) reject(token.substr(0, kDigits));
    // "[id] parse error at ...: syntax error while parsing value - invalid literal; last read: ..."; the part behind
    // the dash is short and says enough.
    std::string_view reason = error.what();
    if (const size_t dash = reason.find(" - "); dash != std::string_view::npos) reason.remove_prefix(dash + 3);
    reason = reason.substr(0, reason.find("; last read"));
    throw FileError(fmt::format("{}: the header is not valid JSON at its byte {}: {}", label_, position, reason));
  }

 private:
  enum class In { kStart, kRoot, kTexts, kTensor, kShape, kOffsets };

  SafetensorsEntry& tensor() { return header_.tensors.back(); }

  [[noreturn]] void fail(const std::string& fault) const {
    const bool metadata = in_ == In::kTexts;
    const std::string part = metadata ? std::string(kMetadata) : "tensor " + quote(header_.tensors.back().name);
    throw FileError(fmt::format("{}: {}: {}", label_, part, fault));
  }

  // A value that may not stand here.
  [[noreturn]] void reject(const std::string& value) const {
    if (in_ == In::kTexts) fail(fmt::format("{} must be a text, it is {}", quote(key_), value));
    if (in_ == In::kTensor) {
      fail(fmt::format("'{}' must be a {}, it is {}", key_, key_ == "dtype" ? "text" : "list", value));
    }
    if (in_ == In::kShape) fail(fmt::format("'shape' must hold whole numbers from 0 to 2^63-1, it holds {}", value));
    if (in_ == In::kOffsets) {
      fail(fmt::format("'data_offsets' must hold two whole numbers from 0 to 2^63-1, it holds {}", value));
    }
    const std::string part = key_ == kMetadata ? key_ : "tensor " + quote(key_);
    throw FileError(fmt::format("{}: {} must be an object, it is {}", label_, part, value));
  }

  const std::string& label_;
  Header& header_;
  In in_ = In::kStart;
  std::string key_;
  bool metadata_seen_ = false;
  struct {
    bool dtype = false, shape = false, offsets = false;
  } seen_;
  std::vector<int64_t> offsets_;
};

// The JSON of a file; throws if its length or its first bytes are wrong.
std::string_view header_text(std::span<const std::byte> file, const std::string& label) {
  if (file.size() < kLengthBytes) {
    throw FileError(fmt::format("{}: the file has {} bytes, the length of the header alone takes {}", label,
                                file.size(), kLengthBytes));
  }
  uint64_t length = 0;
  for (size_t i = kLengthBytes; i-- > 0;) length = length << 8 | std::to_integer<uint64_t>(file[i]);
  if (length > kLongestHeader) {
    throw FileError(fmt::format("{}: the header's length is {}, the most is {} bytes", label, length, kLongestHeader));
  }
  if (length > file.size() - kLengthBytes) {
    throw FileError(fmt::format("{}: the header's length is {}, but only {} bytes follow it", label, length,
                                file.size() - kLengthBytes));
  }
  const auto bytes = file.subspan(kLengthBytes, length);
  const std::string_view header(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!header.starts_with('{')) throw FileError(fmt::format("{}: the header does not begin with '{{'", label));
  if (header.find('\0') != std::string_view::npos) {  // the JSON parser would take it for the end
    throw FileError(fmt::format("{}: the header holds a zero byte", label));
  }
  return header;
}

}  // namespace

Header read_header(std::span<const std::byte> file, const std::string& label) {
  const std::string_view text = header_text(file, label);
  Header header;
  header.data_offset = kLengthBytes + text.size();
  TokenReader reader(label, header);
  json::sax_parse(text.begin(), text.end(), &reader);  // faults are thrown
  return header;
}

}  // namespace lowbit::formats::detail
