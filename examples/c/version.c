/* Prints the version of the library that it was linked with. */
#include <stdio.h>

#include "lowbit/lowbit.h"

int main(void) {
  puts(lowbit_version());
  return 0;
}
