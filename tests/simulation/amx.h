// AMX's tiles and their int8 products, scalar. Stricter than a processor only where that shows a mistake: what would
// raise an exception there ends the program with a message, and so does a thread that ends with tiles configured.
#pragma once

#include <cstdint>

namespace lowbit::simulation {

void load_tile_config(const void* config);
void release_tiles();
void zero_tile(int tile);
void load_tile(int tile, const void* from, int64_t stride);
void store_tile(int tile, void* to, int64_t stride);
// c += a * b, of bytes that are signed in `a` where kSigned, and unsigned in `b`.
void multiply_tiles(bool is_signed, int c, int a, int b);

}  // namespace lowbit::simulation

#define _tile_loadconfig(config) lowbit::simulation::load_tile_config(config)
#define _tile_release() lowbit::simulation::release_tiles()
#define _tile_zero(tile) lowbit::simulation::zero_tile(tile)
#define _tile_loadd(tile, from, stride) lowbit::simulation::load_tile(tile, from, stride)
#define _tile_stored(tile, to, stride) lowbit::simulation::store_tile(tile, to, stride)
#define _tile_dpbsud(c, a, b) lowbit::simulation::multiply_tiles(true, c, a, b)
#define _tile_dpbuud(c, a, b) lowbit::simulation::multiply_tiles(false, c, a, b)
