/* lowbit.h is a C header: this file is compiled as C99 and must not warn. */
#include "lowbit/lowbit.h"

/* As a dlpack.h may have it, and C99 takes it once only. */
typedef struct DLManagedTensorVersioned DLManagedTensorVersioned;

lowbit_status header_test(void) {
  lowbit_device_options options = {0};
  lowbit_device* device = NULL;
  options.struct_size = sizeof(options);
  return lowbit_device_open(&options, &device);
}
