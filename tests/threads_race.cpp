// A race made on purpose, over the cpu's threads: where ThreadSanitizer does not report it, it watches nothing.
#include "cpu/machine.h"

int main() {
  int shared = 0;
  lowbit::core::cpu::for_parts(2, 2, [&](int part, int64_t, int64_t) {
    for (int i = 0; i < 1000; ++i) shared += part;
  });
  return 0;
}
