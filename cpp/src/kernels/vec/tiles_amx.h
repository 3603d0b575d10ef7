// The eight tile registers of AMX: up to 16 rows of up to 64 bytes each.
// SPDX-License-Identifier: Apache-2.0
// No include guard: included once per kernel file, inside its target region. By hand, since GCC's intrinsics do not say
// that they read and write memory.
namespace grucore::detail::GRUCORE_ISA {
namespace {

// What the processor reads as the shapes of its tiles.
struct alignas(64) TileShapes {
  unsigned char palette;
  unsigned char unused[15];
  uint16_t row_bytes[16];
  unsigned char rows[16];
};
static_assert(sizeof(TileShapes) == 64, "as the processor reads it");

GRUCORE_INLINE void set_shapes(const TileShapes& shapes) { __asm__ volatile("ldtilecfg %0" : : "m"(shapes)); }
// Tiles in use are part of what a switch of threads saves.
GRUCORE_INLINE void release_tiles() { __asm__ volatile("tilerelease"); }

template <int kTile>
GRUCORE_INLINE void zero_tile() {
  __asm__ volatile("tilezero %%tmm%c0" : : "i"(kTile));
}
template <int kTile>
GRUCORE_INLINE void load_tile(const void* from, size_t stride) {
  __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride), "i"(kTile) : "memory");
}
template <int kTile>
GRUCORE_INLINE void store_tile(void* to, size_t stride) {
  __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(stride), "i"(kTile) : "memory");
}
// Sums += products of rows of signed bytes with columns of them; a column has four bytes in each row of its tile.
template <int kSums, int kBytes, int kColumns>
GRUCORE_INLINE void multiply_tiles() {
  __asm__ volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSums), "i"(kBytes), "i"(kColumns));
}

}  // namespace
}  // namespace grucore::detail::GRUCORE_ISA
