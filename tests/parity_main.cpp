// Runs the parity tests. A run of all of them, or one with LOWBIT_TEST_COVERAGE in its environment, also fails where a
// kernel of the table that this machine can run was compared with nothing, or is barred by the parity guard; and no run
// passes without a test.
#include <fmt/format.h>

#include <cstdio>

#include "guard.h"
#include "harness.h"
#include "kernel_table.h"

namespace lowbit::test {
namespace {

using core::Device;
using core::KernelRow;

struct Account {
  bool can_run = false;
  std::string why_not;  // of the last device that cannot
};

// Whether one of the devices can run the kernel. A barred one can, and is wrong.
Account account_of(const KernelRow& kernel, std::span<const std::shared_ptr<Device>> devices) {
  Account account{false, "no device of its backend"};
  for (const auto& device : devices) {
    if (device->backend() != kernel.backend) continue;
    if ((kernel.features & ~device->info().features) == 0) return {true, ""};
    account.why_not = why_not(*device, kernel);
  }
  return account;
}

int check_coverage() {
  std::vector<std::shared_ptr<Device>> devices;
  int failures = 0;
  for (const DeviceSpec& spec : device_specs()) {
    std::string absent;
    lowbit_device* device = open(spec, LOWBIT_GUARD_FIRST_USE, &absent);
    if (device == nullptr) {
      fmt::print("device   {}: skipped: {}\n", spec.name, absent);
      continue;
    }
    lowbit_device_info info{sizeof(info)};
    lowbit_device_get_info(device, &info);
    const bool is_warm = lowbit_device_warm_up(device, 0) == LOWBIT_OK;
    fmt::print("device   {}: {}, {}{}\n", spec.name, info.name, info.isa, is_warm ? "" : lowbit_last_error());
    failures += !is_warm;
    devices.push_back(device->device);
    lowbit_device_close(device);
  }
  for (const KernelRow& kernel : core::kernel_table()) {
    for (const auto& device : devices) {
      if (device->state(kernel) != core::KernelState::barred) continue;
      fmt::print("BARRED   {}: {}\n", kernel.name, guard_report(*device, kernel));
      ++failures;
    }
    const Account account = account_of(kernel, devices);
    const bool is_reached = reached_kernels().count(kernel.name) != 0;
    fmt::print("{} {}{}\n",
               is_reached        ? "compared"
               : account.can_run ? "MISSED  "
                                 : "skipped ",
               kernel.name, is_reached || account.can_run ? "" : ": " + account.why_not);
    failures += account.can_run && !is_reached;
  }
  return failures;
}

}  // namespace
}  // namespace lowbit::test

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (GTEST_FLAG_GET(list_tests)) return RUN_ALL_TESTS();
  const int result = RUN_ALL_TESTS();
  const testing::UnitTest& run = *testing::UnitTest::GetInstance();
  if (run.test_to_run_count() == run.skipped_test_count()) {
    fmt::print("FAILED: no test ran\n");
    return 1;
  }
  const bool is_whole = GTEST_FLAG_GET(filter) == "*" && std::getenv("GTEST_TOTAL_SHARDS") == nullptr;
  const bool counts = is_whole || std::getenv("LOWBIT_TEST_COVERAGE") != nullptr;
  const int failures = counts ? lowbit::test::check_coverage() : 0;
  if (failures != 0) fmt::print("FAILED: {} kernels are wrong or were not compared\n", failures);
  return result != 0 || failures != 0;
}
