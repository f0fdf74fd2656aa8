#include "command_test.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "formats/npy.h"

namespace lowbit::test {

namespace fs = std::filesystem;

Arguments operator+(Arguments a, const Arguments& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

void CommandTest::SetUp() {
  std::string name = (fs::temp_directory_path() / "lowbit_command_XXXXXX").string();
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  folder_ = name;
  static const std::vector<std::byte> model = tiny_model().bytes();
  put("tiny", {reinterpret_cast<const char*>(model.data()), model.size()});
}

void CommandTest::TearDown() {
  if (!folder_.empty()) fs::remove_all(folder_);
}

Command CommandTest::command(const Arguments& arguments) const {
  Command command{.arguments = Arguments{LOWBIT_COMMAND} + arguments};
  for (const char* name : {"LOWBIT_BACKEND", "LOWBIT_CPU_ISA", "LOWBIT_PROFILE"})
    command.environment[name] = std::nullopt;
  return command;
}

std::string CommandTest::output_of(const Arguments& arguments) const {
  const Outcome outcome = lowbit(arguments);
  EXPECT_EQ(outcome.code, 0) << testing::PrintToString(arguments);
  EXPECT_EQ(outcome.err, "");
  return outcome.out;
}

void CommandTest::expect_failure(const Outcome& outcome, const std::vector<std::string>& words) {
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_TRUE(outcome.err.starts_with("lowbit: ")) << outcome.err;
  EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << outcome.err;
  EXPECT_TRUE(outcome.err.ends_with('\n')) << outcome.err;
  EXPECT_GT(outcome.err.size(), 15u) << "no sentence: " << outcome.err;
  for (const std::string& word : words)
    EXPECT_NE(outcome.err.find(word), std::string::npos) << word << " in: " << outcome.err;
}

void CommandTest::put(const std::string& name, std::string_view text) const {
  std::ofstream(path(name), std::ios::binary) << text;
}

std::string CommandTest::content(const std::string& name) const {
  std::ifstream file(path(name), std::ios::binary);
  EXPECT_TRUE(file.is_open()) << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

std::set<std::string> CommandTest::files() const {
  std::set<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_)) names.insert(entry.path().filename());
  return names;
}

void CommandTest::put_floats(const std::string& name, const std::vector<int64_t>& shape,
                             std::vector<float> values) const {
  if (values.empty()) {
    values.resize(static_cast<size_t>(formats::tensor_bytes(shape, 1).value()));
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * 37 % 19) / 4 - 2;
  }
  const std::vector<std::byte> file = formats::npy_bytes("<f4", shape, std::as_bytes(std::span(values)));
  put(name, {reinterpret_cast<const char*>(file.data()), file.size()});
}

void CommandTest::put_bytes(const std::string& name, const std::vector<uint8_t>& values) const {
  const std::vector<std::byte> file = formats::npy_bytes(
      "|u1", std::vector<int64_t>{static_cast<int64_t>(values.size())}, std::as_bytes(std::span(values)));
  put(name, {reinterpret_cast<const char*>(file.data()), file.size()});
}

}  // namespace lowbit::test
