// A value per lane, in P parts: on the CPU a part is a hardware vector, on the GPU a register of one thread (P = 2
// where a thread stands for two lanes). All that is done lane by lane is written here, once for both.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/cpu_machines.hpp"
#else

#include <cstdint>
#include <cstring>
#include <type_traits>

namespace tsenor::detail::TSENOR_MACHINE {

// A truth value known when compiling, where a bool may stand as well.
template <bool Value>
struct fixed_bool {
  TSENOR_FN constexpr operator bool() const { return Value; }
};

// The lowest four bits as bytes of 0 or 1.
TSENOR_FN std::uint32_t bytes_of_four(std::uint32_t bits) { return (bits & 15u) * 0x00204081u & 0x01010101u; }

// 4x4 tiles, one at a time: what tile_lanes of more of them have, too (README.md).
struct one_tile {
  static constexpr int count = 1;
  using bits = std::uint32_t;
  template <class T>
  TSENOR_FN static void set(T& x, int, T value) {
    x = value;
  }
  template <class T>
  TSENOR_FN static T get(const T& x, int) {
    return x;
  }
};

// Whether it is so for any tile.
template <class TileLanes, class Flag>
TSENOR_FN bool any_of(const Flag& flag) {
  auto any = TileLanes::get(flag, 0);
  for (int t = 1; t < TileLanes::count; t++) any |= TileLanes::get(flag, t);
  return any != 0;
}

// A truth value per lane.
template <class Part, int P>
struct flags {
  Part part[P];
  flags() = default;
  TSENOR_FN explicit flags(bool b) {
    TSENOR_UNROLL_PARTS for (int s = 0; s < P; s++) part[s] = b ? (Part{} == Part{}) : Part{};
  }
  TSENOR_FN friend flags operator&(flags a, const flags& b) {
    TSENOR_UNROLL_PARTS for (int s = 0; s < P; s++) a.part[s] = a.part[s] & b.part[s];
    return a;
  }
  TSENOR_FN friend flags operator|(flags a, const flags& b) {
    TSENOR_UNROLL_PARTS for (int s = 0; s < P; s++) a.part[s] = a.part[s] | b.part[s];
    return a;
  }
  TSENOR_FN friend flags operator&(const flags& a, bool b) { return a & flags(b); }
  TSENOR_FN friend flags operator!(flags a) {
    TSENOR_UNROLL_PARTS for (int s = 0; s < P; s++) a.part[s] = a.part[s] == Part{};
    return a;
  }
};

// A number of type T per lane.
template <class T, class Part, int P>
struct pack {
  using flag = flags<decltype(Part{} < Part{}), P>;
  Part part[P];
  pack() = default;
  TSENOR_FN pack(T x) {
    TSENOR_UNROLL_PARTS for (int s = 0; s < P; s++) {
      if constexpr (std::is_arithmetic_v<Part>)
        part[s] = x;  // not 0 + x, which is an addition where x may be -0
      else
        part[s] = Part{} + x;
    }
  }

#define TSENOR_LANE_BY_LANE(op, Result)                                                 \
  TSENOR_FN friend Result operator op(const pack& a, const pack& b) {                   \
    Result r;                                                                           \
    TSENOR_UNROLL_PARTS for (int s = 0; s < P; s++) r.part[s] = a.part[s] op b.part[s]; \
    return r;                                                                           \
  }
  TSENOR_LANE_BY_LANE(+, pack)
  TSENOR_LANE_BY_LANE(-, pack)
  TSENOR_LANE_BY_LANE(*, pack)
  TSENOR_LANE_BY_LANE(/, pack)
  TSENOR_LANE_BY_LANE(|, pack)
  TSENOR_FN friend pack operator>>(pack a, int by) {
    TSENOR_UNROLL_PARTS for (int s = 0; s < P; s++) a.part[s] = a.part[s] >> by;
    return a;
  }
  TSENOR_LANE_BY_LANE(<, flag)
  TSENOR_LANE_BY_LANE(>, flag)
  TSENOR_LANE_BY_LANE(==, flag)
#undef TSENOR_LANE_BY_LANE
};

// flag ? a : b
template <class F, class T, class Part, int P>
TSENOR_FN pack<T, Part, P> pick(const flags<F, P>& flag, const pack<T, Part, P>& a, const pack<T, Part, P>& b) {
  pack<T, Part, P> r;
  TSENOR_UNROLL_PARTS for (int s = 0; s < P; s++) r.part[s] = flag.part[s] ? a.part[s] : b.part[s];
  return r;
}

// Compared and picked in one expression, which compilers know as a maximum.
template <class T, class Part, int P>
TSENOR_FN pack<T, Part, P> largest(const pack<T, Part, P>& a, const pack<T, Part, P>& b) {
  pack<T, Part, P> r;
  TSENOR_UNROLL_PARTS for (int s = 0; s < P; s++) r.part[s] = a.part[s] > b.part[s] ? a.part[s] : b.part[s];
  return r;
}

template <class T, class Part, int P>
TSENOR_FN pack<T, Part, P> smallest(const pack<T, Part, P>& a, const pack<T, Part, P>& b) {
  pack<T, Part, P> r;
  TSENOR_UNROLL_PARTS for (int s = 0; s < P; s++) r.part[s] = a.part[s] < b.part[s] ? a.part[s] : b.part[s];
  return r;
}

// The bits of each number, as numbers of another type.
template <class To, class From>
TSENOR_FN To same_bits(const From& x) {
  To r;
  static_assert(sizeof r == sizeof x);
  TSENOR_UNROLL_PARTS for (int s = 0; s < int(sizeof x.part / sizeof x.part[0]); s++)
      std::memcpy(&r.part[s], &x.part[s], sizeof x.part[s]);
  return r;
}

// The least member of a set, as a set.
template <class Set>
TSENOR_FN Set lowest_of(Set set) {
  return set & (Set(0) - set);
}

// Of two lane values, one number each.
struct two_ints {
  int first, second;
};

// A set of up to 32 * Words columns (or rows) per lane. A set that all lanes of a tile agree on is a `tile_set`.
template <class Part, int P, int Words>
struct lane_bits {
  using word_type = pack<std::uint32_t, Part, P>;
  using index =
      pack<std::int32_t,
           std::conditional_t<std::is_same_v<Part, std::uint32_t>, std::int32_t, decltype(Part{} < Part{})>, P>;
  using flag = typename word_type::flag;
  using tile_set = std::conditional_t<Words == 1, std::uint32_t, std::uint64_t>;
  word_type word[Words];

  lane_bits() = default;
  TSENOR_FN explicit lane_bits(tile_set same_everywhere) {
    TSENOR_UNROLL_PARTS for (int h = 0; h < Words; h++) word[h] =
        word_type(std::uint32_t(same_everywhere >> (h ? 32 : 0)));
  }
  // {k}, where the flag is set, else the empty set
  TSENOR_FN static lane_bits one(const index& k, const flag& where) {
    lane_bits r;
    TSENOR_UNROLL_PARTS for (int h = 0; h < Words; h++) {
      TSENOR_UNROLL_PARTS for (int s = 0; s < P; s++) {
        const auto shift = k.part[s] - 32 * h;
        const auto in_word = Words == 1 ? (shift == shift) : (shift > -1) & (shift < 32);
        const auto bit = (Part{} + 1u) << (Part)(shift & 31);
        r.word[h].part[s] = (where.part[s] & in_word) ? bit : Part{};
      }
    }
    return r;
  }
  // {k: f(k) < 0} of the numbers k = 0 .. Count - 1
  template <int Count, class F>
  TSENOR_FN static lane_bits negative(const F& f) {
    lane_bits r;
    TSENOR_UNROLL_PARTS for (int h = 0; h < Words; h++) {
      word_type w = 0u;
      TSENOR_UNROLL for (int k = Count / Words - 1; k >= 0; k--) {
        const index x = f(32 * h + k);
        TSENOR_UNROLL_PARTS for (int s = 0; s < P; s++) {
          if constexpr (std::is_integral_v<Part>)
            w.part[s] = w.part[s] << 1 | (Part)x.part[s] >> 31;
          else
            w.part[s] = w.part[s] + w.part[s] - (Part)(x.part[s] >> 31);
        }
      }
      r.word[h] = w;
    }
    return r;
  }
  TSENOR_FN flag test(int k) const {
    flag r;
    TSENOR_UNROLL_PARTS for (int s = 0; s < P; s++) {
      const Part low = word[0].part[s], high = word[Words - 1].part[s];
      r.part[s] = ((Words == 1 || k < 32 ? low : high) & (1u << (k & 31))) != Part{};
    }
    return r;
  }
  // The same, given {k}: where that takes fewer operations.
  TSENOR_FN flag test(int k, tile_set alone) const {
    if constexpr (std::is_integral_v<Part>)
      return (*this & lane_bits(alone)).any();
    else
      return test(k);
  }
  // The least member of each set that has one.
  TSENOR_FN lane_bits lowest() const {
    lane_bits r;
    TSENOR_UNROLL_PARTS for (int h = 0; h < Words; h++) TSENOR_UNROLL_PARTS for (int s = 0; s < P; s++) {
      const Part w = word[h].part[s], first = w & (Part{} - w);
      r.word[h].part[s] = h == 0 || word[0].part[s] == Part{} ? first : Part{};
    }
    return r;
  }
  // {k, k + 1, ...} in each lane
  TSENOR_FN static lane_bits from(const index& k) {
    lane_bits r;
    TSENOR_UNROLL_PARTS for (int h = 0; h < Words; h++) TSENOR_UNROLL_PARTS for (int s = 0; s < P; s++) {
      const auto shift = k.part[s] - 32 * h;
      const Part all = Part{} - 1u, part = all << (Part)(shift & 31);
      r.word[h].part[s] = Words == 1 ? part : shift < 0 ? all : shift < 32 ? part : Part{};
    }
    return r;
  }
  TSENOR_FN flag any() const {
    flag r;
    TSENOR_UNROLL_PARTS for (int s = 0; s < P; s++) r.part[s] = (word[0].part[s] | word[Words - 1].part[s]) != Part{};
    return r;
  }
  TSENOR_FN friend lane_bits operator|(lane_bits a, const lane_bits& b) {
    TSENOR_UNROLL_PARTS for (int h = 0; h < Words; h++) TSENOR_UNROLL_PARTS for (int s = 0; s < P; s++) a.word[h]
        .part[s] = a.word[h].part[s] | b.word[h].part[s];
    return a;
  }
  TSENOR_FN friend lane_bits operator^(lane_bits a, const lane_bits& b) {
    TSENOR_UNROLL_PARTS for (int h = 0; h < Words; h++) TSENOR_UNROLL_PARTS for (int s = 0; s < P; s++) a.word[h]
        .part[s] = a.word[h].part[s] ^ b.word[h].part[s];
    return a;
  }
  // the members of a that are not in b
  TSENOR_FN friend lane_bits operator-(lane_bits a, const lane_bits& b) {
    TSENOR_UNROLL_PARTS for (int h = 0; h < Words; h++) TSENOR_UNROLL_PARTS for (int s = 0; s < P; s++) a.word[h]
        .part[s] = a.word[h].part[s] & ~b.word[h].part[s];
    return a;
  }
};

template <class Part, int P, int Words>
TSENOR_FN lane_bits<Part, P, Words> operator&(lane_bits<Part, P, Words> a, const lane_bits<Part, P, Words>& b) {
  for (int h = 0; h < Words; h++)
    TSENOR_UNROLL_PARTS for (int s = 0; s < P; s++) a.word[h].part[s] = a.word[h].part[s] & b.word[h].part[s];
  return a;
}

// flag ? a : the empty set
template <class F, class Part, int P, int Words>
TSENOR_FN lane_bits<Part, P, Words> where(const flags<F, P>& flag, lane_bits<Part, P, Words> a) {
  TSENOR_UNROLL_PARTS for (int h = 0; h < Words; h++) TSENOR_UNROLL_PARTS for (int s = 0; s < P; s++) a.word[h]
      .part[s] = flag.part[s] ? a.word[h].part[s] : Part{};
  return a;
}

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
