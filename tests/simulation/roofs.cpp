// A processor that is simulated has no roofs.
#include "cpu/roofs.h"

namespace lowbit::core::cpu {

Floors::Floors(uint64_t, int threads) : threads_(threads) {}
double Floors::least_time(double, double) { return 0; }

}  // namespace lowbit::core::cpu
