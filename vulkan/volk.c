// volk itself, in one file of the library.
#include "volk_names.h"

#include <volk.c>
