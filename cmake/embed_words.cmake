# Writes the 32-bit little-endian words of the file FROM into the header TO, as the array NAME.
file(READ ${FROM} bytes HEX)
string(REGEX REPLACE "(..)(..)(..)(..)" "0x\\4\\3\\2\\1," words "${bytes}")
file(WRITE ${TO} "#pragma once\n\n#include <cstdint>\n\nconst uint32_t ${NAME}[] = {${words}};\n")
