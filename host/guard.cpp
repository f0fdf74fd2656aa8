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

// Sizes of projections: the first counts of rows that a kernel takes and some that fill further tiles; and once a depth
// at which work is split and buffers are used again. Rows of codes take a multiple of 16 bytes.
constexpr int64_t kDepth = 45, kLargeDepth = 589;
std::vector<int64_t> row_counts(const KernelRow& kernel) {
  std::vector<int64_t> counts;
  for (int64_t rows = kernel.min_rows; rows < kernel.min_rows + 5; ++rows) counts.push_back(rows);
  for (int64_t rows : {9, 17}) {
    if (rows > counts.back()) counts.push_back(rows);
  }
  std::erase_if(counts, [&](int64_t rows) { return rows > kernel.max_rows; });
  return counts;
}

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
    *wrong = mismatch_text(*device, kernel, static_cast<int64_t>(i), got[i], expected[i]);
    break;
  }
  return {};
}

// Every pair of formats the kernel takes; a set that is empty stands for one run without.
Status test(const std::shared_ptr<Device>& device, const KernelRow& kernel, std::string* wrong) {
  const FloatEnvironment environment;
  const auto wanted = [](FormatSet set, lowbit_format f) { return set.empty() ? f == LOWBIT_INT8 : set.contains(f); };
  const bool is_projection =
      kernel.operation() == LOWBIT_LOWRANK_PROJECTION || kernel.operation() == LOWBIT_DECODER_TAIL;
  std::vector<std::pair<int64_t, int64_t>> sizes;  // rows, depth
  for (int64_t rows : row_counts(kernel)) sizes.push_back({rows, kDepth});
  if (!is_projection) sizes.resize(1);
  for (int a = LOWBIT_INT8; a <= LOWBIT_F32; ++a) {
    for (int w = LOWBIT_INT8; w <= LOWBIT_F32; ++w) {
      const auto activations = static_cast<lowbit_format>(a), weights = static_cast<lowbit_format>(w);
      if (!wanted(kernel.activations, activations) || !wanted(kernel.weights, weights)) continue;
      for (const auto& [rows, depth] : sizes) {
        LOWBIT_TRY(compare(device, kernel, {activations, weights, rows, depth}, wrong));
        if (!wrong->empty()) return {};
      }
      if (is_projection && activations == LOWBIT_INT8) {
        LOWBIT_TRY(compare(device, kernel, {activations, weights, kernel.min_rows, kLargeDepth}, wrong));
        if (!wrong->empty()) return {};
      }
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

void bar(Device& device, const KernelRow& kernel, const std::string& reason) {
  const std::lock_guard lock(verdicts().mutex);
  verdicts().found[identity(device, kernel)] = reason;
  device.set_state(kernel, KernelState::barred);
}

std::string guard_report(const Device& device, const KernelRow& kernel) {
  const std::lock_guard lock(verdicts().mutex);
  const auto entry = verdicts().found.find(identity(device, kernel));
  return entry == verdicts().found.end() ? "" : entry->second;
}

std::string mismatch_text(const Device& device, const KernelRow& kernel, int64_t word, uint32_t got,
                          uint32_t expected) {
  return fmt::format("parity_mismatch: {}, word {}: got 0x{:08x}, expected 0x{:08x}", identity(device, kernel), word,
                     got, expected);
}

}  // namespace lowbit::core
