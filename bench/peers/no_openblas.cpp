// In place of openblas.cpp where CMake finds no OpenBLAS.
#include <stdexcept>

#include "openblas.h"

namespace lowbit::bench {

const std::string& why_no_openblas() {
  static const std::string reason = "built without OpenBLAS";
  return reason;
}

Subject make_sgemm(std::shared_ptr<Projection>) { throw std::runtime_error(why_no_openblas()); }
Subject make_sgemv(std::shared_ptr<Projection>, int) { throw std::runtime_error(why_no_openblas()); }

}  // namespace lowbit::bench
