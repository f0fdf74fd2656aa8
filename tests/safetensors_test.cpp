// The safetensors reader against every file that it should and should not read.
#include "formats/safetensors.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <random>

namespace lowbit::formats {
namespace {

using Metadata = std::map<std::string, std::string>;

std::vector<std::byte> bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

std::vector<std::byte> file_of(std::string_view header, std::string_view data, uint64_t length) {
  std::string file;
  for (int i = 0; i < 8; ++i) file += static_cast<char>(length >> (8 * i) & 0xFF);
  return bytes_of(file.append(header).append(data));
}
std::vector<std::byte> file_of(std::string_view header, std::string_view data = "") {
  return file_of(header, data, header.size());
}

Safetensors parse(std::vector<std::byte> bytes) { return Safetensors::parse(std::move(bytes), "m.safetensors"); }

// What FileError said, or "no error".
std::string fault(const std::function<void()>& call) {
  try {
    call();
  } catch (const FileError& error) {
    return error.what();
  }
  return "no error";
}
std::string fault(const std::vector<std::byte>& file) {
  return fault([&] { parse(file); });
}

// A file of two tensors, one of them at an odd address, and metadata.
std::vector<std::byte> small_file() {
  static const auto data = bytes_of(std::string_view("\1\2\3\0\0\x80\x3f\0\0\0\xc0", 11));
  const std::vector<SafetensorsEntry> tensors = {{"w", "U8", {3}, std::span(data).first(3)},
                                                 {"w.scales", "F32", {1, 2}, std::span(data).subspan(3)}};
  return write_safetensors({{"lowbit.version", "1"}}, tensors);
}

// What must hold for whatever the reader lets through, and that writing it again changes nothing.
void expect_consistent(const Safetensors& file, size_t file_size) {
  size_t total = 0;
  for (const SafetensorsEntry& tensor : file.tensors()) {
    EXPECT_EQ(file.find(tensor.name), &tensor);
    total += tensor.bytes.size();
    EXPECT_TRUE(tensor.dtype != "F32" || to_floats(tensor).size() * 4 == tensor.bytes.size());
  }
  EXPECT_LT(total, file_size);
  // The bytes are compared, so the address sanitizer sees every one of them read.
  const Safetensors again = parse(write_safetensors(file.metadata(), file.tensors()));
  EXPECT_EQ(again.metadata(), file.metadata());
  ASSERT_EQ(again.tensors().size(), file.tensors().size());
  for (size_t i = 0; i < file.tensors().size(); ++i) {
    const SafetensorsEntry &a = file.tensors()[i], &b = again.tensors()[i];
    EXPECT_TRUE(a.name == b.name && a.dtype == b.dtype && a.shape == b.shape && std::ranges::equal(a.bytes, b.bytes));
  }
}

// Parses, and fails the test for anything but a consistent file or a FileError that names the file.
bool survives(const std::vector<std::byte>& file) {
  try {
    expect_consistent(parse(file), file.size());
    return true;
  } catch (const FileError& error) {
    EXPECT_TRUE(std::string_view(error.what()).starts_with("m.safetensors: ")) << error.what();
    return false;
  }
}

TEST(Safetensors, ReadsWhatThePublicWriterWrites) {
  // save({"b": float32 [[1, -2]], "a": uint8 [7, 8, 9]}, {"k": "v"}) of the Python package, version 0.8.
  const Safetensors file =
      parse(file_of(R"({"__metadata__":{"k":"v"},"b":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},)"
                    R"("a":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}}  )",
                    std::string_view("\0\0\x80\x3f\0\0\0\xc0\7\x8\x9", 11)));
  EXPECT_EQ(file.metadata(), (Metadata{{"k", "v"}}));
  ASSERT_EQ(file.tensors().size(), 2u);
  EXPECT_EQ(file.tensors()[0].name, "b");
  EXPECT_EQ(file.tensors()[1].name, "a");
  EXPECT_EQ(to_floats(file.expect("b", "F32", 2)), (std::vector<float>{1, -2}));
  EXPECT_TRUE(std::ranges::equal(file.expect("a", "U8", 1).bytes, bytes_of("\7\x8\x9")));
}

TEST(Safetensors, RoundTripKeepsOrderAndAlignsData) {
  const auto bytes = small_file();
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  EXPECT_EQ(length % 8, 0u);
  Safetensors first = parse(bytes);
  const Safetensors file = std::move(first);  // the spans must survive a move
  expect_consistent(file, bytes.size());
  EXPECT_EQ(to_floats(file.expect("w.scales", "F32", -1)), (std::vector<float>{1, -2}));
  EXPECT_EQ(file.metadata(), (Metadata{{"lowbit.version", "1"}}));
}

TEST(Safetensors, LegalOddities) {
  EXPECT_TRUE(survives(file_of("{}")));
  EXPECT_TRUE(survives(write_safetensors({}, {})));
  EXPECT_TRUE(survives(file_of(R"({"":{"dtype":"F64","shape":[],"data_offsets":[0,8]}})", "12345678")));
  EXPECT_TRUE(survives(file_of(R"({"b":{"data_offsets":[2,4],"shape":[2],"dtype":"I8"},
      "z":{"dtype":"F32","shape":[0,5],"data_offsets":[2,2]},"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}})",
                               "1234")));
  EXPECT_TRUE(survives(file_of(R"({"\u0000\n\"w\u00fc":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}} )")));
}

TEST(Safetensors, ExpectNamesTensorAndFault) {
  const Safetensors file = parse(small_file());
  EXPECT_EQ(fault([&] { file.expect("v", "U8", 1); }),
            "m.safetensors: tensor 'v' is missing; the file has 'w', 'w.scales'");
  EXPECT_EQ(fault([&] { file.expect("w", "F32", 1); }), "m.safetensors: tensor 'w': its dtype is U8, it must be F32");
  EXPECT_EQ(fault([&] { file.expect("w", "U8", 2); }),
            "m.safetensors: tensor 'w': its shape [3] has 1 axes, it must have 2");
  EXPECT_EQ(fault([&] { to_floats(file.expect("w", "U8", 1)); }), "tensor 'w': its dtype is 'U8', it must be F32");
  EXPECT_EQ(fault([] { Safetensors::read("/no/file"); }), "cannot open '/no/file': No such file or directory");
}

struct Fault {
  std::string header, data, words;
};

// The entry of a tensor w, which `fields` may spoil.
std::string w(std::string_view fields) { return "{\"w\":{" + std::string(fields) + "}}"; }

TEST(Safetensors, EveryFaultOfTheHeaderIsNamed) {
  const std::string file = "m.safetensors: ", tensor = file + "tensor 'w': ",
                    json = file + "the header is not valid JSON";
  const std::string u8 = R"("dtype":"U8",)", one = R"("shape":[1],)", at = R"("data_offsets":[0,1])";
  const Fault faults[] = {
      {"[1]", "", file + "the header does not begin with '{'"},
      {" {}", "", file + "the header does not begin with '{'"},
      {"\xef\xbb\xbf{}", "", file + "the header does not begin with '{'"},
      {"", "", file + "the header does not begin with '{'"},
      {std::string("{}\0{", 4), "", file + "the header holds a zero byte"},
      {"{", "", json + " at its byte 2: unexpected end of input; expected string literal"},
      {"{}}", "", json},
      {"{\"w\":}", "", json + " at its byte 6: unexpected '}'"},
      {"{\"\xff\":{}}", "", json + " at its byte 3: invalid string: ill-formed UTF-8 byte"},
      {"{\"w\":NaN}", "", json + " at its byte 6: invalid literal"},
      {"{\"w\":3}", "", file + "tensor 'w' must be an object, it is 3"},
      {"{\"w\":null}", "", file + "tensor 'w' must be an object, it is null"},
      {R"({"__metadata__":[]})", "", file + "__metadata__ must be an object, it is a list"},
      {R"({"__metadata__":{"k":1}})", "", file + "__metadata__: 'k' must be a text, it is 1"},
      {R"({"__metadata__":{"k":{}}})", "", file + "__metadata__: 'k' must be a text, it is an object"},
      {R"({"__metadata__":{"k":"a","k":"b"}})", "", file + "__metadata__: 'k' comes twice"},
      {R"({"__metadata__":{},"__metadata__":{}})", "", file + "__metadata__ comes twice"},
      {w(one + at), "1", tensor + "'dtype' is missing"},
      {w(u8 + at), "1", tensor + "'shape' is missing"},
      {w(R"("dtype":"U8","shape":[1])"), "1", tensor + "'data_offsets' is missing"},
      {w(""), "", tensor + "'dtype' is missing"},
      {w(u8 + u8 + one + at), "1", tensor + "'dtype' comes twice"},
      {w(u8 + one + R"("x":1,)" + at), "1", tensor + "unknown field 'x'"},
      {w(R"("dtype":8)"), "", tensor + "'dtype' must be a text, it is 8"},
      {w(R"("dtype":["U8"])"), "", tensor + "'dtype' must be a text, it is a list"},
      {w(R"("shape":"1")"), "", tensor + "'shape' must be a list, it is the text '1'"},
      {w(R"("shape":1)"), "", tensor + "'shape' must be a list, it is 1"},
      {w(R"("shape":{"a":1})"), "", tensor + "'shape' must be a list, it is an object"},
      {w(R"("shape":[[1]])"), "", tensor + "'shape' must hold whole numbers from 0 to 2^63-1, it holds a list"},
      {w(R"("shape":[-1])"), "", tensor + "'shape' must hold whole numbers from 0 to 2^63-1, it holds -1"},
      {w(R"("shape":[1.5])"), "", tensor + "'shape' must hold whole numbers from 0 to 2^63-1, it holds 1.5"},
      {w(R"("shape":[1e999])"), "", tensor + "'shape' must hold whole numbers from 0 to 2^63-1, it holds 1e999"},
      {w(R"("shape":[9223372036854775808])"), "", "it holds 9223372036854775808"},
      {w(R"("shape":[18446744073709551616])"), "", "it holds 18446744073709551616"},
      {w(R"("shape":[true])"), "", "it holds true"},
      {w(R"("data_offsets":0)"), "", tensor + "'data_offsets' must be a list, it is 0"},
      {w(R"("data_offsets":[0])"), "",
       tensor + "'data_offsets' must hold two whole numbers from 0 to 2^63-1, it holds"},
      {w(R"("data_offsets":[0,1,2])"), "", "'data_offsets' must hold two whole numbers from 0 to 2^63-1, it holds 2"},
      {w(R"("data_offsets":[0,-1])"), "", "'data_offsets' must hold two whole numbers from 0 to 2^63-1, it holds -1"},
      {w(R"("dtype":"F4",)" + one + at), "1", tensor + "its dtype is 'F4', which is unknown"},
      {w(R"("dtype":"",)" + one + at), "1", tensor + "its dtype is '', which is unknown"},
      {w(u8 + R"("shape":[4294967296,4294967296],)" + at), "1",
       tensor + "its shape [4294967296, 4294967296] is too large for 64 bits"},
      {w(R"("dtype":"F64","shape":[9223372036854775807],)" + at), "1", "is too large for 64 bits"},
      {w(u8 + R"("shape":[2],)" + at), "1",
       tensor + "its data_offsets [0, 1] hold 1 bytes, its dtype U8 and shape [2] need 2"},
      {w(u8 + one + R"("data_offsets":[1,0])"), "1", tensor + "its data_offsets [1, 0] run backwards"},
      {w(u8 + one + R"("data_offsets":[1,2])"), "1",
       tensor + "its data_offsets [1, 2] go past the end of the data, which has 1 bytes"},
      {w(u8 + one + R"("data_offsets":[9223372036854775806,9223372036854775807])"), "1", "go past the end of the data"},
      {w(u8 + one + at), "12", file + "the last 1 bytes of the data belong to no tensor"},
      {"{}", "1", file + "the last 1 bytes of the data belong to no tensor"},
      {w(u8 + one + R"("data_offsets":[2,3])"), "123",
       file + "bytes 0 to 2 of the data, before tensor 'w', belong to no tensor"},
      {"{\"v\":{" + u8 + one + at + "},\"w\":{" + u8 + one + at + "}}", "1", file + "tensor 'w' overlaps tensor 'v'"},
      {"{\"w\":{" + u8 + one + at + "},\"w\":{" + u8 + one + at + "}}", "1", file + "tensor 'w' comes twice"},
  };
  for (const Fault& f : faults) {
    const std::string said = fault(file_of(f.header, f.data));
    EXPECT_NE(said.find(f.words), std::string::npos) << f.header << "\nsaid: " << said << "\nnot:  " << f.words;
    EXPECT_TRUE(said.starts_with(file)) << said;
  }
}

TEST(Safetensors, LyingHeaderLength) {
  EXPECT_EQ(fault(file_of("{}", "", 3)), "m.safetensors: the header's length is 3, but only 2 bytes follow it");
  EXPECT_EQ(fault(file_of("{}", "", 0)), "m.safetensors: the header does not begin with '{'");
  EXPECT_EQ(fault(file_of("{}", "", 1)).find("m.safetensors: the header is not valid JSON"), 0u);
  EXPECT_EQ(fault(file_of("{}", "", 100'000'000)).find("m.safetensors: the header's length is 100000000, but"), 0u);
  EXPECT_EQ(fault(file_of("{}", "", ~uint64_t{0})),
            "m.safetensors: the header's length is 18446744073709551615, the most is 100000000 bytes");
}

TEST(Safetensors, DeepNestingAndLongTokensAreHarmless) {
  constexpr size_t kDeep = 1'000'000;
  const auto said = [](const std::string& header) { return fault(file_of(header)); };
  EXPECT_NE(said("{\"w\":" + std::string(kDeep, '[')).find("must be an object"), std::string::npos);
  EXPECT_NE(said(w("\"shape\":" + std::string(kDeep, '['))).find("it holds a list"), std::string::npos);
  std::string objects;
  for (size_t i = 0; i < kDeep; ++i) objects += "{\"a\":";
  EXPECT_NE(said(objects).find("unknown field 'a'"), std::string::npos);
  EXPECT_LT(said(w("\"shape\":[" + std::string(kDeep, '9') + "]")).size(), 300u);
  EXPECT_LT(said(w("\"shape\":[1." + std::string(kDeep, '9') + "]")).size(), 300u);
  EXPECT_LT(said("{\"" + std::string(kDeep, 'n') + "\":1}").size(), 300u);
  EXPECT_LT(said("{\"" + std::string(kDeep, 'n')).size(), 300u);
}

TEST(Safetensors, ManyTensors) {
  constexpr size_t kMany = 50'000;
  std::vector<SafetensorsEntry> tensors;
  const std::byte data[1] = {};
  for (size_t i = 0; i < kMany; ++i) tensors.push_back({"layer." + std::to_string(i), "U8", {1}, data});
  const Safetensors file = parse(write_safetensors({}, tensors));
  ASSERT_EQ(file.tensors().size(), kMany);
  for (const SafetensorsEntry& tensor : file.tensors()) ASSERT_EQ(file.find(tensor.name), &tensor);
}

TEST(Safetensors, WriterRefusesWhatNoReaderTakes) {
  const auto write = [](SafetensorsEntry tensor, const Metadata& metadata = {}) {
    return fault([&] { write_safetensors(metadata, std::span(&tensor, 1)); });
  };
  const std::byte data[4] = {};
  EXPECT_EQ(write({"w", "F32", {1}, data}), "no error");
  EXPECT_NE(write({"w", "F32", {2}, data}).find("tensor 'w': it has 4 bytes"), std::string::npos);
  EXPECT_NE(write({"w", "F4", {8}, data}).find("tensor 'w': its dtype is 'F4', which is unknown"), std::string::npos);
  EXPECT_NE(write({"w", "U8", {-4}, data}).find("tensor 'w': its shape is negative"), std::string::npos);
  EXPECT_NE(write({"__metadata__", "U8", {4}, data}).find("keeps this name for itself"), std::string::npos);
  EXPECT_NE(write({"\xff", "U8", {4}, data}).find("not UTF-8"), std::string::npos);
  EXPECT_NE(write({"w", "U8", {4}, data}, {{"k", "\xff"}}).find("not UTF-8"), std::string::npos);
  const SafetensorsEntry twice[] = {{"w", "U8", {4}, data}, {"w", "U8", {4}, data}};
  EXPECT_NE(fault([&] { write_safetensors({}, twice); }).find("tensor 'w' comes twice"), std::string::npos);
}

TEST(Safetensors, EveryTruncationIsAFault) {
  const auto file = small_file();
  for (size_t n = 0; n < file.size(); ++n) EXPECT_FALSE(survives({file.begin(), file.begin() + static_cast<long>(n)}));
}

TEST(Safetensors, EveryChangedByteOfTheHeaderIsSurvived) {
  const auto file = small_file();
  for (size_t i = 0; i < file.size() - 11; ++i) {
    auto changed = file;
    for (int value = 0; value < 256; ++value) {
      changed[i] = static_cast<std::byte>(value);
      survives(changed);
    }
  }
}

TEST(Safetensors, RandomChangesAreSurvived) {
  std::mt19937 random(20240607);
  const auto below = [&](size_t n) { return random() % n; };
  const std::string_view parts[] = {"{", "}",  "[",   "]",       ",",         ":",   "\"",
                                    "0", "-1", "1e9", "\"F32\"", "\"shape\"", "null"};
  const auto file = small_file();
  size_t read = 0;
  for (int round = 0; round < 20'000; ++round) {
    auto changed = file;
    for (size_t n = 1 + below(4); n > 0 && !changed.empty(); --n) {
      const auto at = changed.begin() + static_cast<std::ptrdiff_t>(below(changed.size()));
      const auto room = static_cast<size_t>(changed.end() - at);
      const auto part = bytes_of(parts[below(std::size(parts))]);
      const size_t kind = below(4);
      if (kind == 0) *at = static_cast<std::byte>(below(256));
      if (kind == 1) changed.erase(at, at + static_cast<std::ptrdiff_t>(below(std::min(room, size_t{9}) + 1)));
      if (kind == 2) changed.insert(at, part.begin(), part.end());
      if (kind == 3) std::copy_n(part.begin(), std::min(room, part.size()), at);
      // Without a header length that fits, every round would end at the first check.
      if (changed.size() > 19 && below(8) != 0) changed[0] = static_cast<std::byte>(changed.size() - 19);
    }
    read += survives(changed);
  }
  EXPECT_GT(read, 0u);  // some changes are harmless; none would mean that only the first check was tried
}

}  // namespace
}  // namespace lowbit::formats
