// Where `lowbit` cannot write: it says so, and leaves no half of anything behind.
#include <sys/stat.h>
#include <unistd.h>

#include "command_test.h"

namespace lowbit::test {
namespace {

namespace fs = std::filesystem;

class CliOutputTest : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    put_floats("x", {33});  // binary rho: 133 bytes of codes with the header, 136 of scales
    put("text", std::string(600, 'a'));
  }
  Arguments compress(const std::string& packed, const std::string& scales) const {
    return {"op", "rho-compress", "--encoding", "binary", "--input", path("x"), "--packed", packed, "--scales", scales};
  }
  Arguments pack(const std::string& output) const {
    return {"pack", "--model", tiny(), "--weights", "int8", "--output", output};
  }
  const std::set<std::string> inputs_ = {"tiny", "text", "x"};
};

TEST_F(CliOutputTest, FullDisk) {
  expect_failure(pack("/dev/full"), {"/dev/full", "No space left"});
  expect_failure(compress("/dev/full", path("s")), {"/dev/full", "No space left"});
  expect_failure(compress(path("p"), "/dev/full"), {"/dev/full", "No space left"});
  EXPECT_EQ(files(), inputs_);
}

TEST_F(CliOutputTest, FullDiskBehindStdout) {
  const Arguments calls[] = {{"--help"},
                             {"--version"},
                             {"eval", "--help"},
                             {"info"},
                             {"info", "--json"},
                             {"generate", "--model", tiny(), "--prompt", "a", "--tokens", "5"},
                             {"eval", "--model", tiny(), "--text", path("text")},
                             {"eval", "--model", tiny(), "--text", path("text"), "--json"},
                             pack(path("packed"))};
  for (const Arguments& arguments : calls) {
    SCOPED_TRACE(testing::PrintToString(arguments));
    Command full = command(arguments);
    full.output = "/dev/full";
    expect_failure(run(full), {"cannot write to stdout", "No space left"});
    Command closed = command(arguments);
    closed.close_output = true;
    expect_failure(run(closed), {"cannot write to stdout"});
  }
  // The file is whole; what failed is to say so.
  EXPECT_EQ(lowbit({"generate", "--model", path("packed"), "--prompt", "a", "--tokens", "5"}).code, 0);
}

// A limit on the size of files stands in for a disk that fills up in the midst of the second of two files.
TEST_F(CliOutputTest, DiskThatFillsUpBetweenTwoFiles) {
  for (uint64_t limit : {1, 100, 132, 134, 135}) {
    SCOPED_TRACE(limit);
    Command c = command(compress(path("p"), path("s")));
    c.largest_file = limit;
    expect_failure(run(c), {limit < 133 ? path("p") : path("s"), "File too large"});
    EXPECT_EQ(files(), inputs_);
  }
  put("p", "old p");
  put("s", "old s");
  Command c = command(compress(path("p"), path("s")));
  c.largest_file = 134;
  expect_failure(run(c), {path("s"), "File too large"});
  EXPECT_EQ(content("p"), "old p");
  EXPECT_EQ(content("s"), "old s");
  c.largest_file = 136;
  EXPECT_EQ(run(c).code, 0);
  EXPECT_EQ(content("p").size(), 133u);
  EXPECT_EQ(content("s").size(), 136u);

  Command packing = command(pack(path("packed")));
  packing.largest_file = 1000;
  expect_failure(run(packing), {path("packed"), "File too large"});
  EXPECT_FALSE(files().contains("packed"));

  Command writing = command({"generate", "--model", tiny(), "--prompt", "a", "--tokens", "500"});
  writing.largest_file = 100;
  writing.output = path("generated");
  expect_failure(run(writing), {"cannot write to stdout", "File too large"});
  EXPECT_EQ(content("generated").size(), 100u);  // what was written before came out
}

TEST_F(CliOutputTest, PlacesThatTakeNoFile) {
  for (const std::string& place :
       {path("none/out"), path("text/out"), std::string("/proc/lowbit-out"), std::string(), folder_.string()}) {
    expect_failure(pack(place), {"'" + place + "'"});
    expect_failure(compress(place, path("s")), {"'" + place + "'"});
    expect_failure(compress(path("p"), place), {"'" + place + "'"});
  }
  fs::create_directory(path("locked"));
  ASSERT_EQ(::chmod(path("locked").c_str(), 0555), 0);
  if (::geteuid() != 0) {  // root may write there
    expect_failure(pack(path("locked/out")), {path("locked/out"), "Permission denied"});
    expect_failure(compress(path("p"), path("locked/out")), {path("locked/out"), "Permission denied"});
  }
  expect_failure(compress(path("p"), folder_ / "." / "p"), {"twice"});
  EXPECT_EQ(files(), (std::set<std::string>{"tiny", "text", "x", "locked"}));
}

TEST_F(CliOutputTest, AFailureKeepsWhatWasThere) {
  put("p", "old p");
  put("s", "old s");
  put("packed", "old packed");
  expect_failure(compress(path("p"), path("none/s")), {path("none/s")});
  expect_failure(compress(path("none/p"), path("s")), {path("none/p")});
  expect_failure(compress(path("p"), "/dev/full"), {"/dev/full"});
  expect_failure({"op", "rho-compress", "--input", path("text"), "--packed", path("p"), "--scales", path("s")},
                 {path("text")});
  expect_failure({"pack", "--model", path("text"), "--weights", "int8", "--output", path("packed")}, {path("text")});
  EXPECT_EQ(content("p"), "old p");
  EXPECT_EQ(content("s"), "old s");
  EXPECT_EQ(content("packed"), "old packed");
  EXPECT_EQ(files(), (std::set<std::string>{"tiny", "text", "x", "p", "s", "packed"}));
}

TEST_F(CliOutputTest, ReplacesWhatItReadAndWritesToStdout) {
  output_of(compress(path("p"), path("s")));
  const std::string codes = content("p"), scales = content("s");
  // Its own input as an output: that is read in full before.
  put("input", content("x"));
  output_of({"op", "rho-compress", "--encoding", "binary", "--input", path("input"), "--packed", path("input"),
             "--scales", path("s")});
  EXPECT_EQ(content("input"), codes);
  EXPECT_EQ(output_of(compress("/dev/stdout", path("s"))), codes);
  EXPECT_EQ(output_of(compress(path("p"), "/dev/stdout")), scales);
  fs::create_symlink(path("p"), path("link"));
  put("p", "old");
  output_of(compress(path("link"), path("s")));
  EXPECT_TRUE(fs::is_symlink(path("link")));
  EXPECT_EQ(content("p"), codes);
}

}  // namespace
}  // namespace lowbit::test
