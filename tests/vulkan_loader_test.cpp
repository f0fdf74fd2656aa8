// Machines whose Vulkan is missing or broken, as far as a loader and an environment can show them; and the pipeline
// cache on disk. The loader reads its environment once, so each case of it has a process of its own.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "process.h"
#include "vulkan_fixture.h"

namespace lowbit::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

class Folder {
 public:
  Folder() {
    std::string made = (fs::temp_directory_path() / "lowbit-XXXXXX").string();
    if (mkdtemp(made.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path = made;
  }
  ~Folder() { fs::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path / name, std::ios::binary) << text;
    return (path / name).string();
  }
  fs::path path;
};

// ---- Without a driver -----------------------------------------------------------------------------------------------

// What a child says of itself, a line each, between these.
constexpr const char *kBegin = "-- begin\n", *kEnd = "-- end\n";

// Run by the tests below in an environment of theirs.
TEST(VulkanChild, DISABLED_SaysWhatOpens) {
  std::string text;
  const auto write = [](const std::string& line) { ASSERT_EQ(::write(1, line.data(), line.size()), line.size()); };
  write(kBegin);
  for (int turn = 0; turn < 2; ++turn) {  // whoever failed once is asked again
    const Error error = error_of([] { Device::open({.backend = "vulkan"}); });
    write(fmt::format("{} {} {}\n", static_cast<int>(error.status()), error.native_code(), error.what()));
  }
  lowbit_backend_info info{.struct_size = sizeof(info)};
  check(lowbit_backend_get_info(1, &info));
  write(fmt::format("{} {} {}\n", info.name, info.available, info.reason));
  const Device other = Device::open();
  write(fmt::format("{}\n", other.info().backend));
  write(fmt::format("{} {}\n", lowbit_fallback_reason_name(other.fallback().reason), other.fallback().detail));
  write(kEnd);
}

using Environment = std::map<std::string, std::optional<std::string>>;

void expect_absent(Environment environment, const std::string& reason, VkResult result) {
  environment.emplace("VK_LOADER_DEBUG", std::nullopt);
  environment.emplace("LOWBIT_BACKEND", std::nullopt);
  const Outcome outcome = run({.arguments = {fs::read_symlink("/proc/self/exe").string(), "--gtest_brief=1",
                                             "--gtest_also_run_disabled_tests", "--gtest_filter=VulkanChild.*"},
                               .environment = environment});
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err;
  EXPECT_EQ(outcome.err, "");
  const size_t begin = outcome.out.find(kBegin), end = outcome.out.find(kEnd);
  ASSERT_TRUE(begin != std::string::npos && end != std::string::npos) << outcome.out;
  std::vector<std::string> lines;
  std::istringstream said(outcome.out.substr(begin, end - begin));
  for (std::string line; std::getline(said, line);) lines.push_back(line);
  const auto refused = AllOf(StartsWith(fmt::format("{} {} backend 'vulkan' cannot be opened (",
                                                    static_cast<int>(LOWBIT_UNAVAILABLE), static_cast<int>(result))),
                             HasSubstr(reason), HasSubstr("; there is cpu, reference"));
  EXPECT_THAT(lines,
              ElementsAre("-- begin", refused, refused, StartsWith("vulkan 0 " + reason), AnyOf("cpu", "cuda"),
                          AnyOf("none ", AllOf(StartsWith("no_driver cuda: "), HasSubstr("; vulkan: " + reason)))));
}

class VulkanLoaderTest : public testing::Test {
 protected:
  // Without a loader all of these are the same.
  void SetUp() override {
    std::vector<core::vulkan::PhysicalDevice> devices;
    std::string refused;
    const core::Status status = core::vulkan::list_devices(&devices, &refused);
    if (!status.ok()) GTEST_SKIP() << status.sentence();
  }
  std::string manifest(const std::string& library) const {
    return folder.write("driver.json", fmt::format(R"({{"file_format_version": "1.0.0",
                                         "ICD": {{"library_path": "{}", "api_version": "1.3.0"}}}})",
                                                   library));
  }
  const Folder folder;
};

TEST_F(VulkanLoaderTest, NoDriver) {
  const std::string none = (folder.path / "missing.json").string();
  const std::string drivers[] = {
      none,
      folder.write("empty.json", ""),
      folder.write("other.json", R"({"file_format_version": "1.0.0"})"),
      folder.write("null.json", R"({"file_format_version": "1.0.0", "ICD": {}})"),
      "",
  };
  for (const std::string& driver : drivers) {
    SCOPED_TRACE(driver);
    expect_absent({{"VK_DRIVER_FILES", driver}}, "no_driver: vkCreateInstance", VK_ERROR_INCOMPATIBLE_DRIVER);
    expect_absent({{"VK_DRIVER_FILES", std::nullopt}, {"VK_ICD_FILENAMES", driver}}, "no_driver: vkCreateInstance",
                  VK_ERROR_INCOMPATIBLE_DRIVER);
  }
  expect_absent({{"VK_LOADER_DRIVERS_DISABLE", "*"}}, "no_driver: vkCreateInstance", VK_ERROR_INCOMPATIBLE_DRIVER);
}

TEST_F(VulkanLoaderTest, ADriverThatIsNone) {
  for (const std::string& library : {folder.path.string() + "/missing.so", folder.write("text.so", "no library"),
                                     std::string("libm.so.6"), std::string("/dev/null")}) {
    SCOPED_TRACE(library);
    expect_absent({{"VK_DRIVER_FILES", manifest(library)}}, "no_driver: vkCreateInstance",
                  VK_ERROR_INCOMPATIBLE_DRIVER);
  }
}

// The loader takes text that is no JSON for a lack of memory.
TEST_F(VulkanLoaderTest, AManifestThatIsNone) {
  for (const char* text : {"{", "{\"ICD\": {\"library_path\"", "\x7f\x45\x4c\x46\x02\x01"}) {
    SCOPED_TRACE(text);
    expect_absent({{"VK_DRIVER_FILES", folder.write("broken.json", text)}}, "no_driver: vkCreateInstance",
                  VK_ERROR_OUT_OF_HOST_MEMORY);
  }
}

// As where there is none: the dynamic linker finds these first, and they are no libraries.
TEST_F(VulkanLoaderTest, NoLoader) {
  for (const char* name : {"libvulkan.so.1", "libvulkan.so"}) folder.write(name, "no library");
  expect_absent({{"LD_LIBRARY_PATH", folder.path.string()}}, "no_driver: the Vulkan loader", VK_SUCCESS);
}

// ---- The pipeline cache on disk -------------------------------------------------------------------------------------

class PipelineCacheTest : public VulkanTest {
 protected:
  // Opens a device, computes, and closes it.
  static void use() {
    const Device opened = open();
    const Stream stream(opened);
    const Mix mix(opened, 300);
    mix.clear(stream);
    mix.run(stream);
    static const std::vector<uint8_t> expected = Mix::expected(300);
    EXPECT_EQ(mix.results(stream), expected);
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::recursive_directory_iterator(folder.path)) {
      const bool is_ours = entry.path().parent_path().filename() == "lowbit";  // drivers keep some of their own
      if (is_ours && !entry.is_directory()) found.push_back(entry.path());
    }
    return found;
  }
  static std::string read(const fs::path& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }
  // The one file there is to be after a use, and what it holds.
  std::string kept(fs::path* file) const {
    use();
    const std::vector<fs::path> found = files();
    EXPECT_THAT(found, SizeIs(1));
    if (found.empty()) return "";
    *file = found[0];
    return read(*file);
  }

  // Where Mesa keeps its own, which must not vanish under it with the folder.
  static std::string drivers_cache() {
    const char *cache = std::getenv("XDG_CACHE_HOME"), *home = std::getenv("HOME");
    return cache != nullptr  ? cache
           : home != nullptr ? std::string(home) + "/.cache"
                             : fs::temp_directory_path().string();
  }

  const Folder folder;
  const ScopedEnvironment mesa{"MESA_SHADER_CACHE_DIR", drivers_cache().c_str()};
  const ScopedEnvironment on{"LOWBIT_PIPELINE_CACHE", nullptr}, place{"XDG_CACHE_HOME", folder.path.c_str()};
};

TEST_F(PipelineCacheTest, IsKept) {
  fs::path file;
  const std::string whole = kept(&file);
  EXPECT_GT(whole.size(), 24u);
  EXPECT_THAT(file.string(), StartsWith((folder.path / "lowbit" / "vulkan-").string()));
  EXPECT_EQ(file.extension(), ".bin");
  const auto written = fs::last_write_time(file);
  EXPECT_EQ(kept(&file), whole);
  EXPECT_EQ(fs::last_write_time(file), written) << "it had nothing new";
}

TEST_F(PipelineCacheTest, WhatIsDamagedIsReplaced) {
  fs::path file;
  const std::string whole = kept(&file);
  std::vector<std::string> damaged = {"",          "lowbitpc",   std::string(100, '\0'), std::string(5000, 'x'),
                                      whole + "x", whole + whole};
  for (size_t size : {size_t{1}, size_t{23}, size_t{24}, whole.size() / 2, whole.size() - 1}) {
    damaged.push_back(whole.substr(0, size));
  }
  for (size_t at : {size_t{0}, size_t{9}, size_t{16}, size_t{24}, whole.size() - 1}) {
    damaged.push_back(whole);
    damaged.back()[at] = static_cast<char>(damaged.back()[at] ^ 0x10);
  }
  for (size_t i = 0; i < damaged.size(); ++i) {
    std::ofstream(file, std::ios::binary) << damaged[i];
    fs::path again;
    EXPECT_EQ(kept(&again), whole) << "damage " << i;
    EXPECT_EQ(again, file);
  }
}

TEST_F(PipelineCacheTest, AFolderThatCannotBeWritten) {
  const std::string occupied = folder.write("occupied", "a file where a folder is to be");
  for (const std::string& cache : {occupied, std::string("/proc/nowhere"), std::string("relative")}) {
    const ScopedEnvironment there("XDG_CACHE_HOME", cache.c_str()), home("HOME", nullptr);
    use();
  }
  EXPECT_THAT(files(), IsEmpty());
  EXPECT_FALSE(fs::exists("relative"));
  EXPECT_EQ(read(occupied), "a file where a folder is to be");
}

TEST_F(PipelineCacheTest, WhereItsNameIsTaken) {
  fs::path file;
  kept(&file);
  fs::remove(file);
  fs::create_directory(file);
  use();
  EXPECT_TRUE(fs::is_directory(file));
  EXPECT_THAT(files(), IsEmpty()) << "what was written for it is left behind";
}

TEST_F(PipelineCacheTest, HomeIsTheOtherPlace) {
  const ScopedEnvironment none("XDG_CACHE_HOME", nullptr), home("HOME", folder.path.c_str());
  fs::path file;
  EXPECT_NE(kept(&file), "");
  EXPECT_THAT(file.string(), StartsWith((folder.path / ".cache" / "lowbit").string()));
}

TEST_F(PipelineCacheTest, IsTurnedOff) {
  const ScopedEnvironment off("LOWBIT_PIPELINE_CACHE", "off");
  use();
  EXPECT_THAT(files(), IsEmpty());
}

}  // namespace
}  // namespace lowbit::test
