// What the parity tests share: the devices under test, the way of a call, and the comparison, which also keeps account
// of the kernels whose results were looked at.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <iosfwd>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "lowbit/lowbit.h"
#include "operand.h"
#include "values.h"

namespace lowbit::test {

struct DeviceSpec {
  const char* name;  // in the names of tests
  const char* backend;
  uint64_t disabled_features = 0;
  bool guarded_memory = false;      // weights and scratch lie between guard pages too
  uint64_t pretended_features = 0;  // vulkan: that the device does not promise, though it may well keep them
  bool small_limits = false;        // vulkan: all that is limited is cut to the smallest that can work
};
void PrintTo(const DeviceSpec& spec, std::ostream* out);

// Every backend of this build, or those that LOWBIT_TEST_BACKEND lists; the cpu also in guarded memory
// and there with every instruction set that it has, cpu, cuda and vulkan also with all their features masked, and vulkan with other features and limits than it has.
std::vector<DeviceSpec> device_specs();
// NULL and the reason where it is absent. Any other failure is GoogleTest's.
lowbit_device* open(const DeviceSpec& spec, lowbit_guard guard, std::string* absent);

enum class Match { bits, floats };  // floats: a NaN is like every other NaN

// With LOWBIT_TEST_THREADS in the environment so many threads run each test's body at once, each with a stream of its own;
// and with a device of its own, or with LOWBIT_TEST_SHARED_DEVICE on one for all.
class ParityTest : public testing::TestWithParam<DeviceSpec> {
 protected:
  void SetUp() override;
  void TearDown() override;
  void TestBody() override = 0;  // GoogleTest's thread runs it, and those that SetUp() starts

  // Runs one call of the C API under `float_setting`, and waits for it.
  lowbit_status call(const std::function<lowbit_status()>& body);
  // Counts the kernel that ran last as compared with something.
  void count_as_reached();
  // Whether the device chooses kernels by how many outputs there are for each of its multiprocessors.
  bool spreads_work() const;
  // Compares and counts.
  void expect_same(const std::string& what, const Words& got, const Words& expected, Match match);

  // Of each thread.
  static inline thread_local Rig rig;
  static inline thread_local std::vector<Place> places;   // where the operands of a case lie: it runs once for each
  static inline thread_local unsigned float_setting = 0;  // MXCSR or FPCR during calls; 0: as it is

 private:
  void make_rig(lowbit_device* device);

  std::vector<std::thread> others_;
};

// Settings that a caller may have and that lowbit must not follow: other roundings, and flushing of subnormals.
std::vector<unsigned> hostile_float_settings();

// What `make` returns, worked out once for all devices and threads. The key names a case in full.
template <typename Make>
const auto& remembered(const std::string& key, Make make) {
  static std::map<std::string, decltype(make())> known;
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  const auto found = known.find(key);
  return found != known.end() ? found->second : known.emplace(key, make()).first->second;
}

// Names of the kernels that were counted.
const std::set<std::string>& reached_kernels();

#define LOWBIT_PARITY_SUITE(suite)                                            \
  INSTANTIATE_TEST_SUITE_P(Devices, suite, testing::ValuesIn(device_specs()), \
                           [](const auto& of) { return std::string(of.param.name); })

}  // namespace lowbit::test
