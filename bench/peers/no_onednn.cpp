// In place of onednn.cpp where CMake finds no oneDNN.
#include <stdexcept>

#include "onednn.h"

namespace lowbit::bench {

const std::string& why_no_onednn() {
  static const std::string reason = "built without oneDNN";
  return reason;
}

Subject make_onednn(std::shared_ptr<Projection>) { throw std::runtime_error(why_no_onednn()); }

}  // namespace lowbit::bench
