// What a benchmark times.
#pragma once

#include <functional>
#include <string>

namespace lowbit::bench {

// A call on set `copy` of the operands. There are more sets than the last cache holds, so every call finds it cold.
struct Subject {
  std::string label;  // the kernel that ran
  double bytes;       // that a call must move: read or written once
  double operations;  // multiplications and additions
  int copies;
  std::function<void(int copy)> call;
};

}  // namespace lowbit::bench
