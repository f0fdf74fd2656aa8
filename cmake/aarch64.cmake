# Cross-building for 64-bit Arm on Debian: g++-aarch64-linux-gnu, linked statically so that qemu-aarch64 needs no sysroot.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_EXE_LINKER_FLAGS_INIT -static)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -cpu max)

# fmt's headers serve every architecture; their package lies with the host's.
file(GLOB fmt_DIR /usr/lib/*/cmake/fmt)
# The compiler's own OpenMP, which it finds by name; as paths they would be the shared ones.
set(OpenMP_gomp_LIBRARY gomp)
set(OpenMP_pthread_LIBRARY pthread)
