// cuBLASLt is loaded when asked for, so that the program starts without it.
#pragma once

#include <string>

namespace lowbit::bench {

// "" where make_cublaslt() can work, else one sentence.
const std::string& why_no_cublaslt();

}  // namespace lowbit::bench
