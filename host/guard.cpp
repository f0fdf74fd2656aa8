#include "guard.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <vector>

#include "float_environment.h"
#include "guard_cases.h"
#include "host_device.h"
#include "status.h"

namespace lowbit::core {
namespace {

constexpr int64_t kRowCounts = 5;

std::string identity(const Device& device, const KernelRow& kernel) {
  return fmt::format("{} on {} '{}'", kernel.name, device.info().backend, device.info().name);
}

// What was found, for the life of the process: identity -> what was wrong, "" for a kernel that passed.
struct Verdicts {
  std::mutex mutex;
  std::map<std::string, std::string> found;
};
Verdicts& verdicts() {
  static Verdicts instance;
  return instance;
}

const KernelRow& reference_row(lowbit_operation operation) {
  const auto table = kernel_table();
  return *std::find_if(table.begin(), table.end(), [&](const KernelRow& row) {
    return row.backend == Backend::reference && row.operation() == operation;
  });
}

Status compare(const std::shared_ptr<Device>& device, const KernelRow& kernel, const GuardCase& guard_case,
               std::string* wrong) {
  std::shared_ptr<Device> oracle;
  LOWBIT_TRY(open_host_device(Backend::reference, {}, kernel_table(), &oracle));
  std::vector<uint32_t> got, expected;
  LOWBIT_TRY(run_guard_case(oracle, reference_row(kernel.operation()), guard_case, &expected));
  if (Status status = run_guard_case(device, kernel, guard_case, &got); !status.ok()) {
    if (status.code() == LOWBIT_OUT_OF_MEMORY || status.code() == LOWBIT_DEVICE_LOST)
      return status;  // not the kernel's
    *wrong = fmt::format("parity_mismatch: {} failed: {}", identity(*device, kernel), status.sentence());
    return {};
  }
  for (size_t i = 0; i < expected.size(); ++i) {
    if (got[i] == expected[i]) continue;
    *wrong = fmt::format("parity_mismatch: {}, word {}: got 0x{:08x}, expected 0x{:08x}", identity(*device, kernel), i,
                         got[i], expected[i]);
    break;
  }
  return {};
}

// Every pair of formats the kernel takes; a set that is empty stands for one run without. Projections with the first
// few counts of rows that the kernel is made for.
Status test(const std::shared_ptr<Device>& device, const KernelRow& kernel, std::string* wrong) {
  const FloatEnvironment environment;
  for (int a = LOWBIT_INT8; a <= LOWBIT_F32; ++a) {
    for (int w = LOWBIT_INT8; w <= LOWBIT_F32; ++w) {
      const GuardCase guard_case{static_cast<lowbit_format>(a), static_cast<lowbit_format>(w), kernel.min_rows,
                                 std::min(kernel.min_rows + kRowCounts - 1, kernel.max_rows)};
      const auto wanted = [](FormatSet set, lowbit_format f) {
        return set.empty() ? f == LOWBIT_INT8 : set.contains(f);
      };
      if (!wanted(kernel.activations, guard_case.activations) || !wanted(kernel.weights, guard_case.weights)) continue;
      LOWBIT_TRY(compare(device, kernel, guard_case, wrong));
      if (!wrong->empty()) return {};
    }
  }
  return {};
}

}  // namespace

Status guard(const std::shared_ptr<Device>& device, const Request& request) {
  if (device->guard() == LOWBIT_GUARD_OFF) return {};
  for (const KernelRow& kernel : device->kernels()) {
    if (kernel.backend == Backend::reference || !is_candidate(*device, kernel, request) ||
        !is_usable(*device, kernel) || device->state(kernel) != KernelState::untested) {
      continue;
    }
    const std::lock_guard lock(verdicts().mutex);
    auto entry = verdicts().found.find(identity(*device, kernel));
    if (entry == verdicts().found.end()) {
      std::string wrong;
      LOWBIT_TRY(test(device, kernel, &wrong));  // a test that could not run has found nothing out
      entry = verdicts().found.emplace(identity(*device, kernel), wrong).first;
    }
    device->set_state(kernel, entry->second.empty() ? KernelState::passed : KernelState::barred);
  }
  return {};
}

void recall_verdicts(Device& device) {
  if (device.guard() == LOWBIT_GUARD_OFF) return;
  const std::lock_guard lock(verdicts().mutex);
  for (const KernelRow& kernel : device.kernels()) {
    const auto entry = verdicts().found.find(identity(device, kernel));
    if (entry == verdicts().found.end()) continue;
    device.set_state(kernel, entry->second.empty() ? KernelState::passed : KernelState::barred);
  }
}

std::string guard_report(const Device& device, const KernelRow& kernel) {
  const std::lock_guard lock(verdicts().mutex);
  const auto entry = verdicts().found.find(identity(device, kernel));
  return entry == verdicts().found.end() ? "" : entry->second;
}

}  // namespace lowbit::core
