// Reading the profiler's traces back, without a JSON parser: profiler_test.cpp has one.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace lowbit::test {

struct Bar {
  std::string kernel;
  double begin, end;  // us
};

// The bars of each lane in their order in the trace, those of category "kernel" or "call".
inline std::map<int, std::vector<Bar>> lanes_of(const std::string& path, const std::string& category) {
  std::map<int, std::vector<Bar>> found;
  std::ifstream trace(path);
  for (std::string line; std::getline(trace, line);) {
    char kernel[100], of[10];
    int lane = 0;
    double begin = 0, duration = 0;
    const int read =
        std::sscanf(line.c_str(), R"({"name":"%99[^"]","cat":"%9[^"]","ph":"X","pid":1,"tid":%d,"ts":%lf,"dur":%lf,)",
                    kernel, of, &lane, &begin, &duration);
    if (read == 5 && of == category) found[lane].push_back({kernel, begin, begin + duration});
  }
  return found;
}

// No bar begins before the last has ended.
inline void expect_in_order(const std::vector<Bar>& lane) {
  constexpr double kRounding = 0.002;  // the trace has three digits
  for (size_t i = 0; i < lane.size(); ++i) {
    EXPECT_LE(lane[i].begin, lane[i].end);
    if (i > 0) {
      EXPECT_LE(lane[i - 1].end, lane[i].begin + kRounding) << i << ": " << lane[i].kernel;
    }
  }
}

}  // namespace lowbit::test
