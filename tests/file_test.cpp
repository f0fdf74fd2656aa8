// Whole files in and out: what is reported, and that nothing is left behind.
#include "formats/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <thread>

namespace lowbit::formats {
namespace {

namespace fs = std::filesystem;

std::vector<std::byte> bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

// What FileError said, or "no error".
std::string fault(const std::function<void()>& call) {
  try {
    call();
  } catch (const FileError& error) {
    return error.what();
  }
  return "no error";
}

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "lowbit_file_test_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override {
    if (!folder_.empty()) fs::remove_all(folder_);
  }
  std::string path(std::string_view name) const { return (folder_ / name).string(); }
  std::string content(std::string_view name) const {
    const auto bytes = read_file(path(name));
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  void put(std::string_view name, std::string_view text) const { std::ofstream(path(name)) << text; }
  size_t files() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  fs::path folder_;
};

TEST_F(FileTest, ReadsWhatWasWritten) {
  std::string large(1'000'003, 'x');
  large[999'999] = '\0';
  AtomicFiles out;
  out.add(path("large"), bytes_of(large));
  out.add(path("empty"), {});
  EXPECT_EQ(fault([&] { read_file(path("large")); }), "cannot open '" + path("large") + "': No such file or directory");
  out.commit();
  EXPECT_EQ(content("large"), large);
  EXPECT_EQ(content("empty"), "");
  EXPECT_EQ(files(), 2u);
}

TEST_F(FileTest, ReadTellsFaultsApart) {
  EXPECT_EQ(fault([&] { read_file(path("none")); }), "cannot open '" + path("none") + "': No such file or directory");
  EXPECT_EQ(fault([&] { read_file(folder_.string()); }), "cannot read '" + folder_.string() + "': Is a directory");
  EXPECT_EQ(fault([] { read_file(""); }), "cannot open '': No such file or directory");
  put("file", "");
  EXPECT_EQ(fault([&] { read_file(path("file/x")); }), "cannot open '" + path("file/x") + "': Not a directory");
}

TEST_F(FileTest, PermissionsAreReported) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read and write everything";
  put("file", "");
  fs::permissions(path("file"), fs::perms::none);
  EXPECT_EQ(fault([&] { read_file(path("file")); }), "cannot open '" + path("file") + "': Permission denied");
  fs::permissions(folder_, fs::perms::owner_read | fs::perms::owner_exec);
  AtomicFiles out;
  EXPECT_EQ(fault([&] { out.add(path("x"), {}); }), "cannot create '" + path("x") + "': Permission denied");
  EXPECT_EQ(files(), 1u);
  fs::permissions(folder_, fs::perms::owner_all);
}

TEST_F(FileTest, ReadsPipesToTheirEnd) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  const std::string text(300'000, 'p');
  std::thread writer([&] { put("pipe", text); });
  EXPECT_EQ(content("pipe"), text);
  writer.join();
}

TEST_F(FileTest, NothingAppearsWithoutCommit) {
  put("old", "old");
  {
    AtomicFiles out;
    out.add(path("old"), bytes_of("new"));
    out.add(path("other"), bytes_of("new"));
    EXPECT_EQ(content("old"), "old");
    EXPECT_FALSE(fs::exists(path("other")));
  }
  EXPECT_EQ(content("old"), "old");
  EXPECT_EQ(files(), 1u);
}

TEST_F(FileTest, ReplacesAndMayBeUsedAgain) {
  put("a", "a longer old text");
  put("b", "old");
  AtomicFiles out;
  for (const std::string_view text : {"new", "newer"}) {
    out.add(path("a"), bytes_of(text));
    out.add(path("b"), bytes_of(text));
    out.commit();
    EXPECT_EQ(content("a"), text);
    EXPECT_EQ(content("b"), text);
    EXPECT_EQ(files(), 2u);
  }
}

TEST_F(FileTest, NewFilesHaveTheUsualPermissions) {
  const mode_t mask = ::umask(027);
  AtomicFiles out;
  out.add(path("file"), {});
  out.commit();
  ::umask(mask);
  EXPECT_EQ(fs::status(path("file")).permissions(), fs::perms(0640));
}

TEST_F(FileTest, AddTellsFaultsApartAndLeavesNothing) {
  put("file", "kept");
  fs::create_directory(path("folder"));
  const auto add = [&](const std::string& to) {
    return fault([&] {
      AtomicFiles out;
      out.add(to, bytes_of("new"));
      out.commit();
    });
  };
  EXPECT_EQ(add(path("none/x")), "cannot create '" + path("none/x") + "': No such file or directory");
  EXPECT_EQ(add(path("file/x")), "cannot create '" + path("file/x") + "': Not a directory");
  EXPECT_EQ(add(path("folder")), "cannot write '" + path("folder") + "': Is a directory");
  EXPECT_EQ(add(path("none/")), "cannot create '" + path("none/") + "': No such file or directory");
  EXPECT_EQ(add(path("folder/none/")), "cannot create '" + path("folder/none/") + "': No such file or directory");
  EXPECT_EQ(add(""), "cannot create '': No such file or directory");
  const std::string long_name(300, 'n');
  EXPECT_NE(add(path(long_name)).find("File name too long"), std::string::npos);
  EXPECT_EQ(files(), 2u);
  EXPECT_TRUE(fs::is_empty(path("folder")));
}

TEST_F(FileTest, OneTargetTwiceIsRefused) {
  put("file", "kept");
  fs::create_symlink("file", path("link"));
  AtomicFiles out;
  out.add(path("new"), {});
  EXPECT_EQ(fault([&] { out.add(path("./new"), {}); }), "'" + path("./new") + "' is to be written twice");
  out.add(path("file"), {});
  EXPECT_EQ(fault([&] { out.add(path("link"), {}); }), "'" + path("link") + "' is to be written twice");
}

TEST_F(FileTest, LinksAreFollowed) {
  fs::create_directory(path("folder"));
  put("folder/file", "old");
  fs::create_symlink("folder/file", path("link"));
  AtomicFiles out;
  out.add(path("link"), bytes_of("new"));
  out.commit();
  EXPECT_TRUE(fs::is_symlink(path("link")));
  EXPECT_EQ(content("folder/file"), "new");
  EXPECT_EQ(files(), 2u);
}

TEST_F(FileTest, AFaultAtCommitTakesEverythingBack) {
  put("old", "old");
  {
    AtomicFiles out;
    out.add(path("old"), bytes_of("new"));
    out.add(path("fresh"), bytes_of("new"));
    out.add(path("blocked"), bytes_of("new"));
    out.add(path("last"), bytes_of("new"));
    fs::create_directory(path("blocked"));
    EXPECT_EQ(fault([&] { out.commit(); }), "cannot replace '" + path("blocked") + "': Is a directory");
    EXPECT_EQ(content("old"), "old");
    EXPECT_FALSE(fs::exists(path("fresh")));
    EXPECT_FALSE(fs::exists(path("last")));
  }
  EXPECT_EQ(files(), 2u);  // old and blocked
}

TEST_F(FileTest, ALostTemporaryLeavesTheOldFile) {
  put("a", "old");
  put("b", "old");
  {
    AtomicFiles out;
    out.add(path("a"), bytes_of("new"));
    out.add(path("b"), bytes_of("new"));
    for (const auto& entry : fs::directory_iterator(folder_)) {
      if (entry.path().filename().string().starts_with(".lowbit-")) fs::remove(entry.path());
    }
    EXPECT_EQ(fault([&] { out.commit(); }), "cannot replace '" + path("a") + "': No such file or directory");
  }
  EXPECT_EQ(content("a"), "old");
  EXPECT_EQ(content("b"), "old");
  EXPECT_EQ(files(), 2u);
}

TEST_F(FileTest, AFullDeviceIsReportedAndKeepsTheOthersAway) {
  if (!fs::is_character_file("/dev/full")) GTEST_SKIP() << "no /dev/full";
  AtomicFiles out;
  out.add(path("file"), bytes_of("new"));
  out.add("/dev/full", bytes_of("new"));
  EXPECT_EQ(fault([&] { out.commit(); }), "cannot write '/dev/full': No space left on device");
  EXPECT_FALSE(fs::exists(path("file")));
  for (const auto& entry : fs::directory_iterator("/dev")) {
    EXPECT_FALSE(entry.path().filename().string().starts_with(".lowbit-")) << entry.path();
  }
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
}

TEST_F(FileTest, PipesAreWrittenInPlace) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  const std::string text(300'000, 'p');
  std::string got;
  std::thread reader([&] { got = content("pipe"); });
  AtomicFiles out;
  out.add(path("pipe"), bytes_of(text));
  out.commit();
  reader.join();
  EXPECT_EQ(got, text);
  EXPECT_TRUE(fs::is_fifo(path("pipe")));
}

// `command --output /dev/stdout > file`: the file must be the one that the shell opened, behind what was printed.
TEST_F(FileTest, StandardOutputIsWrittenInPlace) {
  std::fflush(stdout);
  const int kept = ::dup(STDOUT_FILENO);
  const int file = ::open(path("out").c_str(), O_WRONLY | O_CREAT, 0600);
  ASSERT_GE(file, 0);
  ::dup2(file, STDOUT_FILENO);
  std::printf("printed, ");
  const std::string error = fault([&] {
    AtomicFiles out;
    out.add("/dev/stdout", bytes_of("written"));
    out.commit();
  });
  ::dup2(kept, STDOUT_FILENO);
  ::close(kept);
  ::close(file);
  EXPECT_EQ(error, "no error");
  EXPECT_EQ(content("out"), "printed, written");
}

TEST(Messages, QuotesAreShortAndHarmless) {
  EXPECT_EQ(quote("w"), "'w'");
  EXPECT_EQ(quote(std::string_view("\0\x1b[31m\n\x7f", 8)), "'\\x00\\x1b[31m\\x0a\\x7f'");
  EXPECT_EQ(quote(std::string(80, 'a')), "'" + std::string(80, 'a') + "'");
  EXPECT_EQ(quote(std::string(81, 'a')), "'" + std::string(80, 'a') + "...'");
  EXPECT_EQ(quote(std::string(79, 'a') + "\u00fc" + "b"), "'" + std::string(79, 'a') + "...'");  // no half letter
  EXPECT_EQ(shape_text(std::vector<int64_t>{}), "[]");
  EXPECT_EQ(shape_text(std::vector<int64_t>{2, 3}), "[2, 3]");
  EXPECT_EQ(shape_text(std::vector<int64_t>(9, 1)), "[1, 1, 1, 1, 1, 1, 1, 1, ...]");
}

TEST(Messages, TensorBytesSeeOverflow) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(tensor_bytes({}, 4), 4);
  EXPECT_EQ(tensor_bytes(std::vector<int64_t>{2, 3}, 4), 24);
  EXPECT_EQ(tensor_bytes(std::vector<int64_t>{2, 0, 3}, 4), 0);
  EXPECT_EQ(tensor_bytes(std::vector<int64_t>{kMost}, 1), kMost);
  EXPECT_EQ(tensor_bytes(std::vector<int64_t>{kMost}, 2), std::nullopt);
  EXPECT_EQ(tensor_bytes(std::vector<int64_t>{int64_t{1} << 32, int64_t{1} << 31}, 1), std::nullopt);
  EXPECT_EQ(tensor_bytes(std::vector<int64_t>{0, int64_t{1} << 32, int64_t{1} << 31}, 1), std::nullopt);
}

}  // namespace
}  // namespace lowbit::formats
