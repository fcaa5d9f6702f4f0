// The compressed operands of a 2:4 transposable matrix, a 4x4 tile a thread: a block takes a patch of 64x64 weights, which
// is two metadata tiles of W and two of W^T. First every thread solves and encodes its tile; what W^T needs goes to shared
// memory, and what the rows of W keep straight to its place. Then, behind a barrier, the block writes the rest in whole words.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/kernels.cuh"
#else

#include <cstdint>
#include <cstring>

#include "tsenor/detail/problem.hpp"
#include "tsenor/sparse24/layout.hpp"

namespace tsenor::detail::TSENOR_MACHINE {

// Where to write; null: not wanted.
struct operands24 {
  unsigned char* weights;
  unsigned char* transposed;
};

constexpr int patch24 = sparse24::granularity;           // rows and columns of a patch
constexpr int patch24_threads = patch24 * patch24 / 16;  // one for each tile
constexpr int patch24_groups = patch24 / 4;
constexpr int patch24_metadata = patch24 * patch24_groups / 2;  // bytes

// What a block's threads hand to each other.
struct alignas(16) patch24_memory {
  std::uint32_t pairs[patch24 * patch24_groups];  // two values of W^T each
  unsigned char metadata[2][patch24_metadata];    // of W, of W^T
};

// A thread's tile within its patch. Rows 8 apart share bytes of metadata, so their tiles, two apart, are in one warp.
struct place24 {
  int down, across;
  TSENOR_FN explicit place24(int thread)
      : down((thread >> 3 & 2) | (thread >> 5 & 1) | (thread >> 4 & 12)), across(thread & 15) {}
};

// Where the pair of tile row `down` in column `col` of the patch lies in patch24_memory::pairs: four of consecutive tile
// rows make a unit of 16 bytes, and units are permuted so that neither writing by tiles nor reading by columns meets in a bank
// more than twice.
TSENOR_FN int pair_unit(int quarter, int col) { return (col & 3) * 64 + quarter * 16 + ((col >> 2) ^ 2 * quarter); }

// Bit 4i + j to 4j + i.
TSENOR_FN std::uint32_t transposed4(std::uint32_t x) {
  std::uint32_t t = (x ^ x >> 3) & 0x0a0au;
  x ^= t ^ t << 3;
  t = (x ^ x >> 6) & 0x00ccu;
  return x ^ t ^ t << 6;
}

// Of each four bits, two of them set, the positions of both: the nibbles of the metadata.
TSENOR_FN std::uint32_t kept_pairs(std::uint32_t kept) {
  constexpr std::uint32_t ones = 0x1111u;
  const std::uint32_t b0 = kept, b1 = kept >> 1, b2 = kept >> 2, b3 = kept >> 3;
  return (~b0 & b1 & ones) | (~b0 & ~b1 & ones) << 1 | ((b3 | ~b2) & ones) << 2 | ((b2 | b3) & ones) << 3;
}

// Four 16-bit numbers, and the two of them at the positions of a nibble.
struct four16 {
  std::uint32_t low, high;
  TSENOR_FN std::uint32_t two_at(std::uint32_t pair) const {
    return __byte_perm(low, high, 0x1010u + 0x22u * (pair & 3u) + 0x2200u * (pair >> 2 & 3u));
  }
};

template <class T>
TSENOR_FN four16 row_of(const rows4<T>& tile, int i) {
  static_assert(sizeof tile.rows[i] == sizeof(four16), "16-bit types");
  four16 r;
  std::memcpy(&r, &tile.rows[i], sizeof r);
  return r;
}
template <class T>
TSENOR_FN four16 col_of(const rows4<T>& tile, int j) {
  const unsigned halves = j & 1 ? 0x7632u : 0x5410u;
  const auto half = [&](int i) { return j < 2 ? row_of(tile, i).low : row_of(tile, i).high; };
  return {__byte_perm(half(0), half(1), halves), __byte_perm(half(2), half(3), halves)};
}

// The nibbles of four lines (rows of W or of W^T), from `line` on, into the bytes that they share with the lines 8 on or 8
// before, which `partner` has: each of both writes two of the four bytes.
TSENOR_FN void put_metadata(unsigned char* to, std::uint32_t nibbles, int partner, int line, int group) {
  const std::uint32_t other = __shfl_xor_sync(0xffffffffu, nibbles, partner);
  const bool upper = line & 8;
  const int first = upper ? 2 : 0;
  const std::uint32_t low = (upper ? other : nibbles) >> 4 * first, high = (upper ? nibbles : other) >> 4 * first;
  unsigned char* tile = to + group / sparse24::tile_groups * sparse24::tile_bytes;
  TSENOR_UNROLL for (int k = 0; k < 2; k++)
      tile[sparse24::byte_in_tile(line + first + k, group % sparse24::tile_groups)] =
          static_cast<unsigned char>((low >> 4 * k & 15u) | (high >> 4 * k & 15u) << 4);
}

// A tile's part of both operands; `values` are those of W from the patch on, with so many bytes a row.
template <class T>
TSENOR_FN void encode_tile24(const rows4<T>& tile, std::uint32_t kept, const place24& at, unsigned char* values,
                             std::uint32_t row_bytes, const operands24& to, patch24_memory& memory) {
  const std::uint32_t by_row = kept_pairs(kept), by_col = kept_pairs(transposed4(kept));
  if (to.weights) {
    const std::uint32_t first = std::uint32_t(4 * at.down) * row_bytes + std::uint32_t(4 * at.across);
    TSENOR_UNROLL for (int i = 0; i < 4; i++) *
        reinterpret_cast<std::uint32_t*>(values + (first + std::uint32_t(i) * row_bytes)) =
        row_of(tile, i).two_at(by_row >> 4 * i);
    put_metadata(memory.metadata[0], by_row, 16, 4 * at.down, at.across);
  }
  if (to.transposed) {
    TSENOR_UNROLL for (int j = 0; j < 4; j++)
        memory.pairs[4 * pair_unit(at.down >> 2, 4 * at.across + j) + (at.down & 3)] =
        col_of(tile, j).two_at(by_col >> 4 * j);
    put_metadata(memory.metadata[1], by_col, 2, 4 * at.across, at.down);
  }
}

// Behind the barrier: the values of W^T, a row of 64 bytes by four threads, and the metadata of both.
TSENOR_FN void store_patch24(int thread, std::int64_t row, std::int64_t col, std::int64_t rows, std::int64_t cols,
                             const operands24& to, const patch24_memory& memory) {
  const auto copy = [](unsigned char* into, const void* from) {
    *reinterpret_cast<uint4*>(into) = *static_cast<const uint4*>(from);
  };
  const int part = thread & 31;
  if (to.weights && thread < 32)
    copy(to.weights + rows * cols + sparse24::metadata_byte(row, col / 4, cols / 4) + 16 * part,
         memory.metadata[0] + 16 * part);
  if (!to.transposed) return;
  const int quarter = thread & 3, mine = (thread >> 2 & 15) * 4 + (thread >> 6);
  copy(to.transposed + (col + mine) * rows + row + 16 * quarter, memory.pairs + 4 * pair_unit(quarter, mine));
  if (thread >> 5 == 1)
    copy(to.transposed + rows * cols + sparse24::metadata_byte(col, row / 4, rows / 4) + 16 * part,
         memory.metadata[1] + 16 * part);
}

// What is kept of a tile: the optimum of its importances; and the other outputs that the problem asks for.
template <class Weight, class Importance>
TSENOR_FN std::uint32_t solve_tile24(const problem<Weight, Importance>& problem, const tile_position& at,
                                     int& replaced) {
  float importance[16], w[4][4];
  replaced = load_tile4<true>(problem, at, importance);
  TSENOR_UNROLL for (int k = 0; k < 16; k++) w[k / 4][k % 4] = importance[k];
  return best_of_tile4<std::uint32_t>(w, 2, false);
}

// What a given mask keeps of it.
TSENOR_FN std::uint32_t read_tile24(const matrix_view<const std::uint8_t>& mask, const tile_position& at) {
  rows4<std::uint8_t> bytes;
  bytes.load(mask.data + at.row * mask.row_stride + at.col, mask.row_stride);
  std::uint32_t kept = 0;
  TSENOR_UNROLL for (int k = 0; k < 16; k++) kept |= (bytes[k] ? 1u : 0u) << k;
  return kept;
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
