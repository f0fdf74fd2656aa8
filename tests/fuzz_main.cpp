// Runs a fuzz target without libFuzzer, on random inputs: the arguments are how many, and the number of the first, 0 if it is
// left out. One that fails is named.
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "values.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

namespace {

uint64_t input = 0;

void name_input() { std::fprintf(stderr, "fuzz: failed on input %llu\n", static_cast<unsigned long long>(input)); }

uint64_t number(const char* text) {
  uint64_t value = 0;
  std::from_chars(text, text + std::strlen(text), value);
  return value;
}

}  // namespace

int main(int count, char** arguments) {
  std::signal(SIGABRT, [](int) { name_input(); });
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(&name_input);
  const uint64_t inputs = count > 1 ? number(arguments[1]) : 0, first = count > 2 ? number(arguments[2]) : 0;
  for (input = first; input < first + inputs; ++input) {
    lowbit::test::Random random(input);
    std::vector<uint8_t> bytes(static_cast<size_t>(random.between(0, 512)));
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.next());
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  std::printf("%llu inputs\n", static_cast<unsigned long long>(inputs));
  return inputs == 0;
}
