// What the tests of the command `lowbit` share: it is run as a child process, in a folder of its own.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "model_file.h"
#include "process.h"

namespace lowbit::test {

using Arguments = std::vector<std::string>;
// `a` and behind it `b`.
Arguments operator+(Arguments a, const Arguments& b);

class CommandTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // `lowbit ARGUMENTS`, without the variables that lowbit reads.
  Command command(const Arguments& arguments) const;
  Outcome lowbit(const Arguments& arguments) const { return run(command(arguments)); }

  // Expects that it succeeds and says nothing on stderr; returns what it wrote.
  std::string output_of(const Arguments& arguments) const;
  // Expects what every failure is: exit code 2, nothing on stdout, and one line on stderr that holds these words.
  static void expect_failure(const Outcome& outcome, const std::vector<std::string>& words);
  void expect_failure(const Arguments& arguments, const std::vector<std::string>& words) const {
    SCOPED_TRACE(testing::PrintToString(arguments));
    expect_failure(lowbit(arguments), words);
  }

  std::string path(const std::string& name) const { return folder_ / name; }
  void put(const std::string& name, std::string_view text) const;
  std::string content(const std::string& name) const;
  std::set<std::string> files() const;  // names in the folder, hidden ones too

  // An array of small numbers, or of these.
  void put_floats(const std::string& name, const std::vector<int64_t>& shape, std::vector<float> values = {}) const;
  void put_bytes(const std::string& name, const std::vector<uint8_t>& values) const;

  std::string tiny() const { return path("tiny"); }  // a model of floats
  std::filesystem::path folder_;
};

}  // namespace lowbit::test
