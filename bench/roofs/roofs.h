// The most that a core can do. Each function is compiled for its instruction set alone, in a file of its own.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lowbit::bench::roofs {

// int8 multiply-adds into int32, exact for all codes, by the best instructions of the set on operands in registers; as
// many chains of sums as hide their latency. Returns how many multiply-adds `rounds` rounds are.
int64_t avx2(int64_t rounds);        // vpmaddwd, vpaddd: codes widened to 16 bits
int64_t avxvnni(int64_t rounds);     // vpdpbusd of 256 bits
int64_t avx512vnni(int64_t rounds);  // vpdpbusd of 512 bits
int64_t amx(int64_t rounds);         // tdpbssd; the process has the system's leave to use tiles
int64_t dotprod(int64_t rounds);     // sdot
int64_t i8mm(int64_t rounds);        // smmla

// Reads every byte of whole 512 bytes, one after the other, by loads of so many bytes.
void read16(const void* data, size_t size);
void read32(const void* data, size_t size);
void read64(const void* data, size_t size);

}  // namespace lowbit::bench::roofs
