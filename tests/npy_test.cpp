// The .npy reader against every file that it should and should not read.
#include "formats/npy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <random>

namespace lowbit::formats {
namespace {

std::vector<std::byte> bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

// A file of the version; its length says what the header has unless `length` is another.
std::vector<std::byte> file_of(std::string_view header, std::string_view data, int version = 1, int64_t length = -1) {
  const auto n = static_cast<uint64_t>(length < 0 ? static_cast<int64_t>(header.size()) : length);
  std::string file = "\x93NUMPY";
  file += {static_cast<char>(version), '\0'};
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) file += static_cast<char>(n >> (8 * i) & 0xFF);
  return bytes_of(file.append(header).append(data));
}

std::string dict(std::string_view dtype, std::string_view order, std::string_view shape) {
  std::string text = "{'descr': '";
  return text.append(dtype).append("', 'fortran_order': ").append(order).append(", 'shape': ").append(shape) + ", }\n";
}

Npy parse(const std::vector<std::byte>& file, std::string_view dtype = "") { return parse_npy(file, dtype, "x.npy"); }

// What FileError said, or "no error".
std::string fault(const std::function<void()>& call) {
  try {
    call();
  } catch (const FileError& error) {
    return error.what();
  }
  return "no error";
}
std::string fault(const std::vector<std::byte>& file, std::string_view dtype = "") {
  return fault([&] { parse(file, dtype); });
}

// Parses, and fails the test for anything but a consistent array or a FileError that names the file.
bool survives(const std::vector<std::byte>& file) {
  try {
    const Npy array = parse(file);
    EXPECT_TRUE(std::ranges::all_of(array.shape, [](int64_t axis) { return axis >= 0; }));
    EXPECT_EQ(array.count() == 0, array.bytes.empty());
    const Npy again = parse(npy_bytes(array.dtype, array.shape, array.bytes), array.dtype);
    EXPECT_TRUE(again.shape == array.shape && again.bytes == array.bytes);
    return true;
  } catch (const FileError& error) {
    EXPECT_TRUE(std::string_view(error.what()).starts_with("x.npy: ")) << error.what();
    return false;
  }
}

// numpy.save of numpy.array([[1, -2, 3]], '<f4'), version 1.24.
std::vector<std::byte> numpy_file() {
  const std::string header =
      "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }" + std::string(58, ' ') + "\n";
  return file_of(header, std::string_view("\x00\x00\x80?\x00\x00\x00\xc0\x00\x00@@", 12));
}

TEST(Npy, ReadsAndWritesAsNumpy) {
  const Npy array = parse(numpy_file(), "<f4");
  EXPECT_EQ(array.dtype, "<f4");
  EXPECT_EQ(array.shape, (std::vector<int64_t>{1, 3}));
  EXPECT_EQ(array.count(), 3);
  EXPECT_EQ(array.bytes, bytes_of(std::string_view("\x00\x00\x80?\x00\x00\x00\xc0\x00\x00@@", 12)));
  EXPECT_EQ(npy_bytes("<f4", array.shape, array.bytes), numpy_file());
  // Here the room for a growing axis takes another 64 bytes, as it does in NumPy.
  EXPECT_EQ(npy_bytes("|u1", std::vector<int64_t>(16, 1), std::vector<std::byte>(1)).size(), 193u);
}

TEST(Npy, RoundTripsEveryDtypeAndRank) {
  const std::pair<std::string_view, size_t> dtypes[] = {{"|b1", 1}, {"|i1", 1}, {"|u1", 1}, {"<i2", 2},
                                                        {"<u2", 2}, {"<f2", 2}, {"<i4", 4}, {"<u4", 4},
                                                        {"<f4", 4}, {"<i8", 8}, {"<u8", 8}, {"<f8", 8}};
  const std::pair<std::vector<int64_t>, size_t> shapes[] = {
      {{}, 1}, {{0}, 0}, {{7}, 7}, {{2, 3}, 6}, {{2, 0, 5}, 0}, {{1, 2, 3, 4}, 24}, {std::vector<int64_t>(32, 1), 1}};
  for (const auto& [dtype, item] : dtypes) {
    for (const auto& [shape, count] : shapes) {
      const std::vector<std::byte> data(count * item, std::byte{0x5A});
      const auto file = npy_bytes(dtype, shape, data);
      EXPECT_EQ((file.size() - data.size()) % 64, 0u);
      const Npy array = parse(file, dtype);
      EXPECT_TRUE(array.shape == shape && array.bytes == data && array.count() == static_cast<int64_t>(count)) << dtype;
    }
  }
}

TEST(Npy, ReadsEveryVersionAndSpelling) {
  for (const int version : {1, 2, 3}) EXPECT_TRUE(survives(file_of(dict("|u1", "False", "(3,)"), "123", version)));
  EXPECT_TRUE(survives(file_of(R"({"shape":(1,2),"fortran_order":False,"descr":"|u1"})", "12")));
  EXPECT_TRUE(survives(file_of("\t{ 'shape' : ( 1 , 2 , ) ,\n'descr':'|u1','fortran_order' :False } ", "12")));
  EXPECT_TRUE(survives(file_of(dict("<f8", "False", "()"), "12345678")));
  EXPECT_TRUE(survives(file_of(dict("<f8", "False", "(5, 0)"), "")));
  // With one axis > 1 both orders are the same bytes.
  EXPECT_TRUE(survives(file_of(dict("|u1", "True", "(1, 3, 1)"), "123")));
}

TEST(Npy, ReadsFiles) {
  const std::string path = (std::filesystem::temp_directory_path() / "lowbit_npy_test.npy").string();
  AtomicFiles out;
  out.add(path, numpy_file());
  out.commit();
  EXPECT_EQ(read_npy(path, "<f4").count(), 3);
  EXPECT_EQ(fault([&] { read_npy(path, "|u1"); }), path + ": dtype is '<f4', it must be '|u1'");
  std::filesystem::remove(path);
  EXPECT_EQ(fault([&] { read_npy(path, "<f4"); }), "cannot open '" + path + "': No such file or directory");
}

TEST(Npy, EveryFaultOfTheFrontIsNamed) {
  const std::string good = dict("|u1", "False", "(3,)");
  EXPECT_EQ(fault(bytes_of("")), "x.npy: the file does not begin as an .npy file does");
  EXPECT_EQ(fault(bytes_of("PK\3\4 an archive")), "x.npy: the file does not begin as an .npy file does");
  EXPECT_EQ(fault(bytes_of("\x93NUMPY\1")), "x.npy: the file ends in its version");
  EXPECT_EQ(fault(file_of(good, "123", 4)), "x.npy: the version is 4.0, it must be 1.0, 2.0 or 3.0");
  EXPECT_EQ(fault(bytes_of("\x93NUMPY\1\1\1\1")), "x.npy: the version is 1.1, it must be 1.0, 2.0 or 3.0");
  EXPECT_EQ(fault(bytes_of("\x93NUMPY\1" + std::string("\0\1", 2))), "x.npy: the file ends in its header's length");
  EXPECT_EQ(fault(file_of(good, "", 1, 999)), "x.npy: the header's length is 999, but only 58 bytes follow it");
  EXPECT_EQ(fault(file_of(good, "", 3, 0xFFFFFFFF)),
            "x.npy: the header's length is 4294967295, but only 58 bytes follow it");
  EXPECT_EQ(fault(file_of(good, "123", 1, 20)),
            "x.npy: the header is not the dict of an .npy file; at its byte 17: an open quote");
}

TEST(Npy, EveryFaultOfTheArrayIsNamed) {
  const auto said = [](std::string_view dtype, std::string_view order, std::string_view shape, std::string_view data) {
    return fault(file_of(dict(dtype, order, shape), data));
  };
  EXPECT_EQ(fault(file_of(dict("<f8", "False", "()"), "12345678"), "<f4"), "x.npy: dtype is '<f8', it must be '<f4'");
  EXPECT_EQ(said(">f4", "False", "()", "1234"), "x.npy: dtype is '>f4', which is not read");
  EXPECT_EQ(said("|O", "False", "()", "1234"), "x.npy: dtype is '|O', which is not read");
  EXPECT_EQ(said("|u1", "True", "(2, 2)", "1234"),
            "x.npy: the array of shape [2, 2] is in Fortran order, it must be in C order");
  EXPECT_EQ(said("|u1", "False", "(3,)", "12"), "x.npy: 2 bytes follow the header, dtype '|u1' and shape [3] need 3");
  EXPECT_EQ(said("|u1", "False", "(3,)", "1234"), "x.npy: 4 bytes follow the header, dtype '|u1' and shape [3] need 3");
  EXPECT_EQ(said("<f4", "False", "(4611686018427387904,)", ""),
            "x.npy: shape [4611686018427387904] is too large for 64 bits");
  EXPECT_EQ(said("|u1", "False", "(4294967296, 4294967296)", ""),
            "x.npy: shape [4294967296, 4294967296] is too large for 64 bits");
  EXPECT_EQ(said("|u1", "False", "(0, 4294967296, 4294967296)", ""),
            "x.npy: shape [0, 4294967296, 4294967296] is too large for 64 bits");
}

TEST(Npy, EveryFaultOfTheDictIsNamed) {
  const std::string descr = "{'descr': '|u1', ", order = "'fortran_order': False, ", shape = "'shape': (3,), ";
  const std::pair<std::string, std::string> faults[] = {
      {"", "at its byte 0: '{' is missing"},
      {"[]", "at its byte 0: '{' is missing"},
      {"{", "at its byte 1: a key is missing"},
      {"{}", "at its byte 2: 'descr' is missing"},
      {"{'descr", "an open quote"},
      {"{'de\\x73cr': '|u1'}", "an escape or a line's end in quotes"},
      {"{'descr' '|u1'}", "':' is missing"},
      {"{'descr': [('a', '<f4')]}", "a plain dtype in quotes is missing"},
      {"{'descr': None}", "a plain dtype in quotes is missing"},
      {descr + "'more': 1}", "unknown key 'more'"},
      {descr + "'descr': '|u1'}", "'descr' comes twice"},
      {descr + "}", "'fortran_order' is missing"},
      {descr + order + "}", "'shape' is missing"},
      {descr + shape + "'fortran_order': 0}", "True or False is missing"},
      {descr + shape + "'fortran_order': Falsehood}", "',' or '}' is missing"},
      {descr + order + "'shape': 3}", "'(' is missing"},
      {descr + order + "'shape': (3)}", "a number in brackets, not a tuple"},
      {descr + order + "'shape': (3 3)}", "',' or ')' is missing"},
      {descr + order + "'shape': (3L,)}", "',' or ')' is missing"},
      {descr + order + "'shape': (,)}", "a whole number from 0 to 2^63-1 is missing"},
      {descr + order + "'shape': (3,,)}", "a whole number from 0 to 2^63-1 is missing"},
      {descr + order + "'shape': (-3,)}", "a whole number from 0 to 2^63-1 is missing"},
      {descr + order + "'shape': (3.0,)}", "',' or ')' is missing"},
      {descr + order + "'shape': ((3,),)}", "a whole number from 0 to 2^63-1 is missing"},
      {descr + order + "'shape': (03,)}", "a number with a leading zero"},
      {descr + order + "'shape': (9223372036854775808,)}", "a number above 2^63-1"},
      {descr + order + "'shape': (" + std::string(100'000, '9') + ",)}", "a number above 2^63-1"},
      {descr + order + "'shape': (" + std::string(100'000, '('), "a whole number from 0 to 2^63-1 is missing"},
      {descr + order + shape, "a key is missing"},
      {descr + order + shape + "} 1", "text behind the closing '}'"},
      {descr + order + shape + std::string("}\0", 2), "text behind the closing '}'"},
  };
  for (const auto& [header, words] : faults) {
    const std::string said = fault(file_of(header, "123", 2));
    EXPECT_TRUE(said.starts_with("x.npy: the header is not the dict of an .npy file; at its byte ")) << said;
    EXPECT_NE(said.find(words), std::string::npos)
        << header.substr(0, 100) << "\nsaid: " << said << "\nnot:  " << words;
  }
}

TEST(Npy, WriterRefusesWhatItCannotSay) {
  const std::byte data[4] = {};
  const auto write = [&](std::string_view dtype, const std::vector<int64_t>& shape) {
    return fault([&] { npy_bytes(dtype, shape, data); });
  };
  EXPECT_EQ(write("<c8", {}), "an array to be written: dtype '<c8' is not written");
  EXPECT_EQ(write("<f4", {2}), "an array to be written: 4 bytes are not an array of dtype '<f4' and shape [2]");
  EXPECT_EQ(write("|u1", {-2, -2}),
            "an array to be written: 4 bytes are not an array of dtype '|u1' and shape [-2, -2]");
  EXPECT_EQ(write("<f4", std::vector<int64_t>(30'000, 1)),
            "an array to be written: 30000 axes are too many for version 1.0");
}

TEST(Npy, EveryTruncationIsAFault) {
  const auto file = numpy_file();
  for (size_t n = 0; n < file.size(); ++n) EXPECT_FALSE(survives({file.begin(), file.begin() + static_cast<long>(n)}));
}

TEST(Npy, EveryChangedByteOfTheHeaderIsSurvived) {
  const auto file = numpy_file();
  for (size_t i = 0; i < 128; ++i) {
    auto changed = file;
    for (int value = 0; value < 256; ++value) {
      changed[i] = static_cast<std::byte>(value);
      survives(changed);
    }
  }
}

TEST(Npy, RandomChangesAreSurvived) {
  std::mt19937 random(20240607);
  const auto below = [&](size_t n) { return random() % n; };
  const std::string_view parts[] = {"{", "}", "(", ")", ",", ":", "'", "0", "-1", "True", "'|u1'", "'shape'", " "};
  size_t read = 0;
  for (int round = 0; round < 40'000; ++round) {
    std::string header = dict("<f4", "False", "(1, 3)");
    for (size_t n = 1 + below(4); n > 0; --n) {
      const std::string_view part = parts[below(std::size(parts))];
      const size_t at = below(header.size() + 1);
      const size_t kind = below(4);
      if (kind == 0 && at < header.size()) header[at] = static_cast<char>(below(256));
      if (kind == 1) header.erase(at, below(9));
      if (kind == 2) header.insert(at, part);
      if (kind == 3) header.replace(at, part.size(), part);
    }
    read += survives(file_of(header, std::string(below(2) == 0 ? 12 : below(40), 'x')));
  }
  EXPECT_GT(read, 0u);  // some changes are harmless; none would mean that only the first check was tried
}

}  // namespace
}  // namespace lowbit::formats
