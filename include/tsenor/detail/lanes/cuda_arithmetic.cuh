// Arithmetic lane by lane, by the instructions that are fast on a GPU.
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/kernels.cuh"
#else

#include <cstdint>
#include <type_traits>

namespace tsenor::detail::TSENOR_MACHINE {

template <int Parts>
struct lane_arithmetic {
  using real = pack<float, float, Parts>;
  using index = pack<std::int32_t, std::int32_t, Parts>;

  // floor((a + b) / 2)
  TSENOR_FN static index midpoint(const index& a, const index& b) {
    index r;
    TSENOR_UNROLL_PARTS for (int s = 0; s < Parts; s++) r.part[s] = (a.part[s] + b.part[s]) >> 1;
    return r;
  }
  // 2^x, x clamped to [-64, 64].
  TSENOR_FN static real exp2(const real& x) {
    const real clamped = largest(smallest(x, real(64.f)), real(-64.f));
    real r;
    TSENOR_UNROLL_PARTS for (int s = 0; s < Parts; s++) r.part[s] = exp2_approximate(clamped.part[s]);
    return r;
  }
  // min(a * b, 1) of numbers that are not negative.
  TSENOR_FN static real capped_product(const real& a, const real& b) {
    real r;
    TSENOR_UNROLL_PARTS for (int s = 0; s < Parts; s++) r.part[s] = __saturatef(a.part[s] * b.part[s]);
    return r;
  }
  TSENOR_FN static real quotient(const real& a, const real& b) {
    real r;
    TSENOR_UNROLL_PARTS for (int s = 0; s < Parts; s++) r.part[s] = __fdividef(a.part[s], b.part[s]);
    return r;
  }
  TSENOR_FN static real log2(const real& x) {
    real r;
    TSENOR_UNROLL_PARTS for (int s = 0; s < Parts; s++) r.part[s] = __log2f(x.part[s]);
    return r;
  }
  // Of numbers in the range of an int.
  TSENOR_FN static index truncated(const real& x) {
    index r;
    TSENOR_UNROLL_PARTS for (int s = 0; s < Parts; s++) r.part[s] = int(x.part[s]);
    return r;
  }
  // The nearest real.
  TSENOR_FN static real real_of(const index& x) {
    real r;
    TSENOR_UNROLL_PARTS for (int s = 0; s < Parts; s++) r.part[s] = float(x.part[s]);
    return r;
  }

 private:
  // One instruction, 2 ulp.
  TSENOR_FN static float exp2_approximate(float x) {
#if defined(__CUDA_ARCH__)
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#else
    return ::exp2f(x);
#endif
  }
};

}  // namespace tsenor::detail::TSENOR_MACHINE

#endif
