// Matrices that reach over more than 2^32 elements, in memory that is reserved and hardly used. Sizes that no address
// space has.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <limits>

#include "distributions.hpp"
#include "solve.hpp"
#include "tsenor/apply_mask.hpp"
#include "tsenor/check_mask.hpp"

namespace tsenor_test {
namespace {

constexpr tsenor::pattern nm{4, 8};
constexpr std::int64_t rows = 16, cols = 24, batch = 3;
constexpr std::int64_t row_stride = (std::int64_t{1} << 27) + 24, batch_stride = rows * row_stride + 8;
static_assert((batch - 1) * batch_stride > std::int64_t{1} << 32);

// Zeros, of which those that are written take memory.
template <class T>
class reserved {
 public:
  reserved() {
    void* const found =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    data_ = found == MAP_FAILED ? nullptr : static_cast<T*>(found);
  }
  ~reserved() {
    if (data_ != nullptr) munmap(data_, bytes);
  }
  reserved(const reserved&) = delete;
  reserved& operator=(const reserved&) = delete;
  T* data() const { return data_; }
  T& at(std::int64_t b, std::int64_t i, std::int64_t j) const { return data_[b * batch_stride + i * row_stride + j]; }

 private:
  static constexpr std::size_t bytes = std::size_t(batch) * batch_stride * sizeof(T);
  T* data_;
};

template <class T>
tsenor::matrix_view<T> view_of(T* data) {
  return {data, rows, cols, row_stride, batch, batch_stride};
}

TEST(Large, StridesBeyond32BitsGiveWhatDenseMatricesGive) {
  const reserved<float> weights, pruned, applied;
  const reserved<std::uint8_t> mask, packed;
  if (!weights.data() || !pruned.data() || !applied.data() || !mask.data() || !packed.data())
    GTEST_SKIP() << "the system does not reserve so much memory";
  const std::vector<float> dense = make_weights(distribution::gaussian, batch * rows, cols, 179);
  for (std::int64_t k = 0; k < batch * rows * cols; ++k)
    weights.at(k / (rows * cols), k / cols % rows, k % cols) = dense[k];
  tsenor::mask_outputs<float> out;
  out.mask = {mask.data(), row_stride, batch_stride};
  out.packed = {packed.data(), row_stride, batch_stride};
  out.pruned = {pruned.data(), row_stride, batch_stride};
  const tsenor::cpu_executor cpu{2};

  ASSERT_TRUE(find_any<float>(cpu, nm, view_of<const float>(weights.data()), out).ok());
  ASSERT_TRUE(tsenor::apply_mask(cpu, view_of<const float>(weights.data()), view_of<const std::uint8_t>(mask.data()),
                                 view_of(applied.data()))
                  .ok());
  tsenor::mask_violations broken{-1, -1};
  ASSERT_TRUE(
      tsenor::check_mask(cpu, nm, view_of<const std::uint8_t>(mask.data()), &broken, tsenor::constraint::exactly).ok());

  EXPECT_EQ(broken.rows + broken.cols, 0);
  const solution expected = solve(nm, dense, batch * rows, cols);
  for (std::int64_t k = 0; k < batch * rows * cols; ++k) {
    const std::int64_t b = k / (rows * cols), i = k / cols % rows, j = k % cols;
    ASSERT_EQ(mask.at(b, i, j), expected.mask[k]) << b << ", " << i << ", " << j;
    ASSERT_EQ(packed.at(b, i, j / nm.m) >> j % nm.m & 1, expected.mask[k]) << b << ", " << i << ", " << j;
    ASSERT_EQ(pruned.at(b, i, j), expected.mask[k] ? dense[k] : 0.0f) << b << ", " << i << ", " << j;
    ASSERT_EQ(applied.at(b, i, j), pruned.at(b, i, j)) << b << ", " << i << ", " << j;
  }
}

// The size that is too large, and the largest that is not.
TEST(Large, SizeThatExceedsTheAddressSpaceIsNamedWithItsLimit) {
  constexpr std::int64_t huge = std::numeric_limits<std::int64_t>::max();
  struct sizes {
    std::int64_t rows, cols, row_stride, batch, batch_stride;
  };
  const struct {
    sizes spoilt;
    std::int64_t sizes::*size;
  } cases[] = {
      {{huge, 8, 8, 1, 0}, &sizes::rows},      {{8, 8, huge, 1, 0}, &sizes::rows},
      {{2, 8, huge / 4, 2, 8}, &sizes::rows},  {{2, huge, huge, 1, 0}, &sizes::cols},
      {{8, 8, 8, huge, 64}, &sizes::batch},    {{8, 8, 8, 2, huge}, &sizes::batch},
      {{8, 8, huge / 16, 9, 8}, &sizes::rows}, {{1, 1, 1, huge, 1}, &sizes::batch},
  };
  const float somewhere = 0;
  const auto check = [&](const sizes& s) {
    return tsenor::detail::check_view(&somewhere, sizeof(float), alignof(float), s.rows, s.cols, s.row_stride, s.batch,
                                      s.batch_stride, "");
  };
  for (const auto& c : cases) {
    const tsenor::status s = check(c.spoilt);
    SCOPED_TRACE(s.message());
    ASSERT_EQ(s.code(), tsenor::status_code::invalid_shape);
    EXPECT_EQ(s.observed(), c.spoilt.*c.size);
    sizes most = c.spoilt;
    most.*c.size = s.required();
    if (c.size == &sizes::cols) most.rows = 1;
    EXPECT_TRUE(check(most).ok()) << check(most).message();
    ++(most.*c.size);
    EXPECT_EQ(check(most).required(), s.required());
  }
}

}  // namespace
}  // namespace tsenor_test
