// The compressed operands of a 2:4 transposable matrix, a 4x4 tile a thread: a block takes a patch of 64x64 weights,
// which is two metadata tiles of W and two of W^T. First every thread solves and encodes its tile; what W^T needs goes
// to shared memory, and what the rows of W keep straight to its place. Then, behind a barrier, the block writes the
// rest in whole words.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/kernels.cuh"
#else

#include <cstdint>
#include <cstring>
#include <type_traits>

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

// The bytes that so many weights' values take: half of them are kept.
template <class Values>
TSENOR_FN std::int64_t bytes_of_kept(std::int64_t weights) {
  return Values::bytes == 2 ? weights : weights >> 1;
}

// What a block's threads hand to each other. Values: copied24 or cast24.
template <class Values>
struct alignas(16) patch24_memory {
  typename Values::pair pairs[patch24 * patch24_groups];  // two values of W^T each
  unsigned char metadata[2][patch24_metadata];            // of W, of W^T
};

// A thread's tile within its patch. Tiles that share bytes of metadata are in one warp: of 16-bit values those of rows
// 8 apart, two tiles, and of 8-bit values neighbours.
template <class Values>
struct place24 {
  int down, across;
  TSENOR_FN explicit place24(int thread) : down(thread >> 4), across(thread & 15) {
    if (Values::bytes == 2) down = (down << 1 & 2) | (down >> 1 & 1) | (down & 12);
  }
};

// Where the pair of tile row `down` in column `col` of the patch lies in patch24_memory::pairs: those of consecutive
// tile rows make units of 16 bytes, parts of a column, and units are permuted so that neither writing by tiles nor
// reading by columns meets in a bank more than twice.
template <class Values>
inline constexpr int unit_pairs = 16 / sizeof(typename Values::pair);
template <class Values>
inline constexpr int column_units = patch24_groups / unit_pairs<Values>;
template <class Values>
TSENOR_FN int pair_unit(int part, int col) {
  constexpr int units = column_units<Values>;
  return (col & 3) * 16 * units + part * 16 + ((col >> 2) ^ 8 / units * part);
}

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
// Values as the weights are, 16 bits each: a tile's rows of W, and of W^T.
struct copied24 {
  using pair = std::uint32_t;      // the values of a group
  static constexpr int bytes = 2;  // of a value
  static constexpr int partner = 16,
                       transposed_partner = 2;  // the lane, as ^, of the tile that shares bytes of metadata

  template <class T>
  TSENOR_FN four16 row(const rows4<T>& tile, const tile_position&, int i) const {
    static_assert(sizeof tile.rows[i] == sizeof(four16), "16-bit types");
    four16 r;
    std::memcpy(&r, &tile.rows[i], sizeof r);
    return r;
  }
  template <class T>
  TSENOR_FN four16 col(const rows4<T>& tile, const tile_position& at, int j) const {
    const unsigned halves = j & 1 ? 0x7632u : 0x5410u;
    const auto half = [&](int i) { return j < 2 ? row(tile, at, i).low : row(tile, at, i).high; };
    return {__byte_perm(half(0), half(1), halves), __byte_perm(half(2), half(3), halves)};
  }
};

// Two numbers in E4M3, the first in the low byte.
TSENOR_FN std::uint16_t two_e4m3(float low, float high) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 890
  std::uint16_t both;
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(both) : "f"(high), "f"(low));
  return both;
#else
  return static_cast<std::uint16_t>(to_e4m3(low).bits | to_e4m3(high).bits << 8);
#endif
}

// Four weights of a 16-bit type, of which two are cast: those at the positions of a nibble, times a scale.
template <class T>
struct four_to_cast {
  four16 bits;
  float scale;
  TSENOR_FN std::uint16_t two_at(std::uint32_t pair) const {
    const std::uint32_t two = bits.two_at(pair);
    const T low{static_cast<std::uint16_t>(two)}, high{static_cast<std::uint16_t>(two >> 16)};
    return two_e4m3(to_arithmetic(low) * scale, to_arithmetic(high) * scale);
  }
};
// Four floats are cast first: bytes are easier to choose from.
template <>
struct four_to_cast<float> {
  std::uint32_t bytes;
  TSENOR_FN four_to_cast(float a, float b, float c, float d, float scale)
      : bytes(two_e4m3(a * scale, b * scale) | std::uint32_t(two_e4m3(c * scale, d * scale)) << 16) {}
  TSENOR_FN std::uint16_t two_at(std::uint32_t pair) const {
    return static_cast<std::uint16_t>(__byte_perm(bytes, 0, (pair & 3u) | (pair & 12u) << 2 | 0x4400u));
  }
};

// Values in E4M3, each the weight times a scale of its row of W, or of W^T.
struct cast24 {
  using pair = std::uint16_t;
  static constexpr int bytes = 1;
  static constexpr int partner = 1, transposed_partner = 16;
  sparse24::scales by;

  TSENOR_FN static float scale_of(const sparse24::scale& by, std::int64_t first, int k) {
    return (by.data + (by.by_row ? first : 0))[by.by_row ? k : 0];
  }
  template <class T>
  TSENOR_FN four_to_cast<T> row(rows4<T> tile, const tile_position& at, int i) const {
    const float scale = scale_of(by.weights, at.row, i);
    if constexpr (std::is_same_v<T, float>)
      return {tile[4 * i], tile[4 * i + 1], tile[4 * i + 2], tile[4 * i + 3], scale};
    else
      return {copied24{}.row(tile, at, i), scale};
  }
  template <class T>
  TSENOR_FN four_to_cast<T> col(rows4<T> tile, const tile_position& at, int j) const {
    const float scale = scale_of(by.transposed, at.col, j);
    if constexpr (std::is_same_v<T, float>)
      return {tile[j], tile[4 + j], tile[8 + j], tile[12 + j], scale};
    else
      return {copied24{}.col(tile, at, j), scale};
  }
};

// sparse24::metadata_byte, in a patch.
template <int ValueBytes>
TSENOR_FN int byte_in_patch(int line, int group) {
  if (ValueBytes == 1) return 2 * byte_in_patch<2>(line, group >> 1) + (line >> 3 & 1);
  return group / sparse24::tile_groups * sparse24::tile_bytes +
         sparse24::byte_in_tile(line, group % sparse24::tile_groups);
}

// The nibbles of four lines (rows of W or of W^T), from `line` on, into the bytes that they share with those of the
// tile that `partner` has: each of both writes two of the four bytes.
template <int ValueBytes>
TSENOR_FN void put_metadata(unsigned char* to, std::uint32_t nibbles, int partner, int line, int group) {
  const std::uint32_t other = __shfl_xor_sync(0xffffffffu, nibbles, partner);
  const bool upper = sparse24::metadata_shift<ValueBytes>(line, group) != 0;
  const int first = upper ? 2 : 0;
  const std::uint32_t low = (upper ? other : nibbles) >> 4 * first, high = (upper ? nibbles : other) >> 4 * first;
  TSENOR_UNROLL for (int k = 0; k < 2; k++) to[byte_in_patch<ValueBytes>(line + first + k, group)] =
      static_cast<unsigned char>((low >> 4 * k & 15u) | (high >> 4 * k & 15u) << 4);
}

// A tile's part of both operands; `values` are those of W from the patch on, with so many bytes a row.
template <class Values, class T>
TSENOR_FN void encode_tile24(const Values& of, const rows4<T>& tile, const tile_position& at, std::uint32_t kept,
                             const place24<Values>& in, unsigned char* values, std::uint32_t row_bytes,
                             const operands24& to, patch24_memory<Values>& memory) {
  using pair = typename Values::pair;
  const std::uint32_t by_row = kept_pairs(kept), by_col = kept_pairs(transposed4(kept));
  if (to.weights) {
    const std::uint32_t first = std::uint32_t(4 * in.down) * row_bytes + std::uint32_t(sizeof(pair)) * in.across;
    TSENOR_UNROLL for (int i = 0; i < 4; i++) *
        reinterpret_cast<pair*>(values + (first + std::uint32_t(i) * row_bytes)) =
        of.row(tile, at, i).two_at(by_row >> 4 * i);
    put_metadata<Values::bytes>(memory.metadata[0], by_row, Values::partner, 4 * in.down, in.across);
  }
  if (to.transposed) {
    constexpr int unit = unit_pairs<Values>;
    TSENOR_UNROLL for (int j = 0; j < 4; j++)
        memory.pairs[unit * pair_unit<Values>(in.down / unit, 4 * in.across + j) + in.down % unit] =
        of.col(tile, at, j).two_at(by_col >> 4 * j);
    put_metadata<Values::bytes>(memory.metadata[1], by_col, Values::transposed_partner, 4 * in.across, in.down);
  }
}

// Behind the barrier: the values of W^T, a row by a few threads, 16 bytes each, and the metadata of both.
template <class Values>
TSENOR_FN void store_patch24(int thread, std::int64_t row, std::int64_t col, std::int64_t rows, std::int64_t cols,
                             const operands24& to, const patch24_memory<Values>& memory) {
  constexpr int bytes = Values::bytes, units = column_units<Values>;
  const auto copy = [](unsigned char* into, const void* from) {
    *reinterpret_cast<uint4*>(into) = *static_cast<const uint4*>(from);
  };
  const std::int64_t metadata = bytes_of_kept<Values>(rows * cols);
  const int lane = thread & 31;
  if (to.weights && thread < 32)
    copy(to.weights + metadata + sparse24::metadata_byte<bytes>(row, col / 4, cols / 4) + 16 * lane,
         memory.metadata[0] + 16 * lane);
  if (!to.transposed) return;
  const int part = thread % units, mine = (thread / units & 15) * 4 + thread / (16 * units);
  if (thread < patch24 * units)
    copy(to.transposed + bytes_of_kept<Values>((col + mine) * rows + row) + 16 * part,
         memory.pairs + unit_pairs<Values> * pair_unit<Values>(part, mine));
  if (thread >> 5 == 1)
    copy(to.transposed + metadata + sparse24::metadata_byte<bytes>(col, row / 4, rows / 4) + 16 * lane,
         memory.metadata[1] + 16 * lane);
}

// What is kept of a tile: the optimum of its importances; and the other outputs that the problem asks for.
template <class Weight, class Importance>
TSENOR_FN std::uint32_t solve_tile24(const problem<Weight, Importance>& problem, const tile_position& at,
                                     int& replaced) {
  float importance[16], w[4][4];
  replaced = load_tile4<true>(problem, at, importance);
  TSENOR_UNROLL for (int k = 0; k < 16; k++) w[k / 4][k % 4] = importance[k];
  return best_of_tile4<one_tile>(w, 2, false);
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
