// In place of cublaslt.cpp where the toolkit has no header of it.
#include <stdexcept>

#include "../projection.h"
#include "cublaslt.h"

namespace lowbit::bench {

const std::string& why_no_cublaslt() {
  static const std::string reason = "built without cublasLt.h";
  return reason;
}

Subject make_cublaslt(std::shared_ptr<Projection>) { throw std::runtime_error(why_no_cublaslt()); }

}  // namespace lowbit::bench
