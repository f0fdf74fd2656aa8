#include "formats/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <utility>

#include "formats/safetensors_header.h"

namespace lowbit::formats {
namespace {

using nlohmann::json;

// The types whose items are whole bytes. F4, F6_E2M3 and F6_E3M2 are not read.
constexpr std::pair<std::string_view, int64_t> kItemBytes[] = {
    {"BOOL", 1},        {"U8", 1},  {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"F8_E8M0", 1}, {"F8_E4M3FNUZ", 1},
    {"F8_E5M2FNUZ", 1}, {"I16", 2}, {"U16", 2}, {"F16", 2},     {"BF16", 2},    {"I32", 4},     {"U32", 4},
    {"F32", 4},         {"C64", 8}, {"F64", 8}, {"I64", 8},     {"U64", 8},
};

// What is wrong with a tensor's dtype or shape, or nothing and in `bytes` the size that it needs.
std::optional<std::string> fault_of(const SafetensorsEntry& tensor, int64_t& bytes) {
  const auto row = std::ranges::find(kItemBytes, tensor.dtype, &std::pair<std::string_view, int64_t>::first);
  if (row == std::end(kItemBytes)) return fmt::format("its dtype is {}, which is unknown", quote(tensor.dtype));
  const auto size = tensor_bytes(tensor.shape, row->second);
  if (!size) return fmt::format("its shape {} is too large for 64 bits", shape_text(tensor.shape));
  bytes = *size;
  return std::nullopt;
}

// The indices of `tensors` in the order of their names; throws if one comes twice.
std::vector<size_t> index_names(std::span<const SafetensorsEntry> tensors, std::string_view label) {
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto name = [&](size_t i) -> const std::string& { return tensors[i].name; };
  std::ranges::sort(order, {}, name);
  const auto twice = std::ranges::adjacent_find(order, {}, name);
  if (twice != order.end()) throw FileError(fmt::format("{}: tensor {} comes twice", label, quote(name(*twice))));
  return order;
}

// Gives each tensor its bytes of `data`; throws unless they fit and cover it exactly.
void place(detail::Header& header, std::span<const std::byte> data, const std::string& label) {
  const auto size = static_cast<int64_t>(data.size());
  for (size_t i = 0; i < header.tensors.size(); ++i) {
    SafetensorsEntry& tensor = header.tensors[i];
    const auto [begin, end] = header.ranges[i];
    const auto fail = [&](const std::string& fault) {
      throw FileError(fmt::format("{}: tensor {}: {}", label, quote(tensor.name), fault));
    };
    int64_t needed = 0;
    if (const auto fault = fault_of(tensor, needed)) fail(*fault);
    if (begin > end) fail(fmt::format("its data_offsets [{}, {}] run backwards", begin, end));
    if (end > size) {
      fail(fmt::format("its data_offsets [{}, {}] go past the end of the data, which has {} bytes", begin, end, size));
    }
    if (end - begin != needed) {
      fail(fmt::format("its data_offsets [{}, {}] hold {} bytes, its dtype {} and shape {} need {}", begin, end,
                       end - begin, tensor.dtype, shape_text(tensor.shape), needed));
    }
    tensor.bytes = data.subspan(static_cast<size_t>(begin), static_cast<size_t>(needed));
  }

  std::vector<size_t> order(header.tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, {}, [&](size_t i) { return std::pair(header.ranges[i].begin, header.ranges[i].end); });
  int64_t covered = 0;
  std::string before;
  for (const size_t i : order) {
    const auto [begin, end] = header.ranges[i];
    const std::string& name = header.tensors[i].name;
    if (begin < covered) {
      throw FileError(fmt::format("{}: tensor {} overlaps tensor {}", label, quote(name), quote(before)));
    }
    if (begin > covered) {
      throw FileError(fmt::format("{}: bytes {} to {} of the data, before tensor {}, belong to no tensor", label,
                                  covered, begin, quote(name)));
    }
    covered = end;
    before = name;
  }
  if (covered != size) {
    throw FileError(fmt::format("{}: the last {} bytes of the data belong to no tensor", label, size - covered));
  }
}

}  // namespace

Safetensors Safetensors::read(const std::string& path) { return parse(read_file(path), path); }

Safetensors Safetensors::parse(std::vector<std::byte> bytes, const std::string& label) {
  Safetensors file;
  file.label_ = label;
  file.file_ = std::move(bytes);
  detail::Header header = detail::read_header(file.file_, label);
  file.by_name_ = index_names(header.tensors, label);
  place(header, std::span<const std::byte>(file.file_).subspan(header.data_offset), label);
  file.metadata_ = std::move(header.metadata);
  file.tensors_ = std::move(header.tensors);
  return file;
}

const SafetensorsEntry* Safetensors::find(std::string_view name) const {
  const auto name_of = [&](size_t i) -> std::string_view { return tensors_[i].name; };
  const auto at = std::ranges::lower_bound(by_name_, name, {}, name_of);
  return at != by_name_.end() && name_of(*at) == name ? &tensors_[*at] : nullptr;
}

const SafetensorsEntry& Safetensors::expect(std::string_view name, std::string_view dtype, int rank) const {
  const SafetensorsEntry* tensor = find(name);
  if (tensor == nullptr) {
    constexpr size_t kShown = 5;
    std::string held;
    for (const SafetensorsEntry& other : std::span(tensors_).first(std::min(tensors_.size(), kShown))) {
      held += (held.empty() ? " " : ", ") + quote(other.name);
    }
    if (tensors_.size() > kShown) held += fmt::format(" and {} more", tensors_.size() - kShown);
    throw FileError(fmt::format("{}: tensor {} is missing; the file has{}", label_, quote(name),
                                held.empty() ? " no tensors" : held));
  }
  if (tensor->dtype != dtype) {
    throw FileError(
        fmt::format("{}: tensor {}: its dtype is {}, it must be {}", label_, quote(name), tensor->dtype, dtype));
  }
  if (rank >= 0 && tensor->shape.size() != static_cast<size_t>(rank)) {
    throw FileError(fmt::format("{}: tensor {}: its shape {} has {} axes, it must have {}", label_, quote(name),
                                shape_text(tensor->shape), tensor->shape.size(), rank));
  }
  return *tensor;
}

std::vector<std::byte> write_safetensors(const std::map<std::string, std::string>& metadata,
                                         std::span<const SafetensorsEntry> tensors) {
  index_names(tensors, "a file to be written");
  std::string header = "{";
  size_t end = 0;
  try {
    if (!metadata.empty()) header += fmt::format("\"{}\":{}", detail::kMetadata, json(metadata).dump());
    for (const SafetensorsEntry& tensor : tensors) {
      const auto fail = [&](std::string_view fault) {
        throw FileError(fmt::format("a file to be written: tensor {}: {}", quote(tensor.name), fault));
      };
      int64_t needed = 0;
      if (tensor.name == detail::kMetadata) fail("the format keeps this name for itself");
      if (std::ranges::any_of(tensor.shape, [](int64_t axis) { return axis < 0; })) fail("its shape is negative");
      if (const auto fault = fault_of(tensor, needed)) fail(*fault);
      if (tensor.bytes.size() != static_cast<size_t>(needed)) {
        fail(fmt::format("it has {} bytes, its dtype {} and shape {} need {}", tensor.bytes.size(), tensor.dtype,
                         shape_text(tensor.shape), needed));
      }
      header +=
          fmt::format("{}{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}", header.size() > 1 ? "," : "",
                      json(tensor.name).dump(), tensor.dtype, join(tensor.shape, ","), end, end + tensor.bytes.size());
      end += tensor.bytes.size();
    }
  } catch (const json::type_error&) {
    throw FileError("a file to be written: a tensor's name or a metadata entry is not UTF-8");
  }
  header += '}';
  header.resize((header.size() + 7) / 8 * 8, ' ');
  if (header.size() > detail::kLongestHeader) {
    throw FileError(fmt::format("a file to be written: the header takes {} bytes, the most is {}", header.size(),
                                detail::kLongestHeader));
  }

  std::vector<std::byte> file;
  file.reserve(detail::kLengthBytes + header.size() + end);
  for (size_t i = 0; i < detail::kLengthBytes; ++i)
    file.push_back(static_cast<std::byte>(header.size() >> (8 * i) & 0xFF));
  const auto text = std::as_bytes(std::span(header));
  file.insert(file.end(), text.begin(), text.end());
  for (const SafetensorsEntry& tensor : tensors) file.insert(file.end(), tensor.bytes.begin(), tensor.bytes.end());
  return file;
}

std::vector<float> to_floats(const SafetensorsEntry& tensor) {
  if (tensor.dtype != "F32") {
    throw FileError(fmt::format("tensor {}: its dtype is {}, it must be F32", quote(tensor.name), quote(tensor.dtype)));
  }
  std::vector<float> values(tensor.bytes.size() / 4);
  for (size_t i = 0; i < values.size(); ++i) {
    uint32_t bits = 0;
    for (size_t b = 4; b-- > 0;) bits = bits << 8 | std::to_integer<uint32_t>(tensor.bytes[4 * i + b]);
    values[i] = std::bit_cast<float>(bits);
  }
  return values;
}

}  // namespace lowbit::formats
