// The same products in floats by OpenBLAS on one thread.
#pragma once

#include <memory>
#include <string>

#include "../subject.h"

namespace lowbit::bench {

class Projection;

// "" where the others can work, else one sentence.
const std::string& why_no_openblas();
// int8 weights, as floats. They throw where a sum is wrong.
Subject make_sgemm(std::shared_ptr<Projection> projection);              // all rows
Subject make_sgemv(std::shared_ptr<Projection> projection, int copies);  // the first row; so many sets of weights

}  // namespace lowbit::bench
