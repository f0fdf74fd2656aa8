// int8 x int8 -> int32 by oneDNN's matmul on one thread.
#pragma once

#include <memory>
#include <string>

#include "../subject.h"

namespace lowbit::bench {

class Projection;

// "" where make_onednn() can work, else one sentence.
const std::string& why_no_onednn();
// The label starts with "wrong" where its sums are not right: then it does not count.
Subject make_onednn(std::shared_ptr<Projection> projection);

}  // namespace lowbit::bench
