// Libraries built for different architectures in one process: each runs its own code, and one that has none for the
// device says so and disturbs nobody.
#include <cuda_runtime_api.h>

#include "library.hpp"
#include "support/checker.hpp"
#include "support/device_buffer.cuh"
#include "support/distributions.hpp"

namespace tsenor_test {
namespace {

using tsenor::status_code;

constexpr std::int64_t rows = 64, cols = 96;

class Libraries : public device_test {
 protected:
  void SetUp() override {
    device_test::SetUp();
    if (IsSkipped()) return;
    cudaDeviceProp device{};
    require(cudaGetDeviceProperties(&device, 0), "cudaGetDeviceProperties");
    major_ = device.major;
  }
  int major_ = 0;
};

// The mask that a library finds.
std::vector<std::uint8_t> mask_of(const library& lib) {
  const device_buffer<float> weights(make_weights(distribution::gaussian, rows, cols, 163));
  const device_buffer<std::uint8_t> mask(rows * cols);
  const tsenor::status s = lib.find_mask(weights.data(), rows, cols, mask.data());
  EXPECT_TRUE(s.ok()) << s.message() << " (" << s.observed() << ")";
  const std::vector<std::uint8_t> found = mask.read();
  EXPECT_FEASIBLE((tsenor::matrix_view<const std::uint8_t>{found.data(), rows, cols}), (tsenor::pattern{8, 16}),
                  tsenor::constraint::exactly);
  return found;
}

TEST_F(Libraries, OfTwoArchitecturesRunTheirOwnCodeAndAgree) {
  if (major_ < 9) GTEST_SKIP() << "the device cannot run code for sm_90";
  const std::vector<std::uint8_t> one = mask_of(library_sm80()), other = mask_of(library_sm90());
  EXPECT_EQ(one, other);
  EXPECT_EQ(mask_of(library_sm80()), one) << "after the other library's call";
  EXPECT_EQ(library_sm80().architecture(), 80);
  EXPECT_EQ(library_sm90().architecture(), 90);
}

TEST_F(Libraries, WithoutCodeForTheDeviceSaySo) {
  if (major_ == 8) GTEST_SKIP() << "the device may run code for sm_86";
  const device_buffer<float> weights(make_weights(distribution::gaussian, rows, cols, 167));
  const device_buffer<std::uint8_t> mask(rows * cols);
  const device_buffer<float> pruned(rows * cols);

  const tsenor::status found = library_sm86_only().find_mask(weights.data(), rows, cols, mask.data());
  const tsenor::status applied = library_sm86_only().apply_mask(weights.data(), rows, cols, mask.data(), pruned.data());

  EXPECT_EQ(library_sm86_only().architecture(), 0);
  EXPECT_EQ(found.code(), status_code::no_device) << found.message() << " (" << found.observed() << ")";
  EXPECT_EQ(applied.code(), status_code::no_device) << applied.message() << " (" << applied.observed() << ")";
  EXPECT_EQ(cudaGetLastError(), cudaSuccess) << "what the status says was left pending too";
  EXPECT_TRUE(mask.untouched());
  EXPECT_TRUE(pruned.untouched());
  if (major_ >= 9) mask_of(library_sm90());
}

// Run with CUDA_VISIBLE_DEVICES empty, and wherever there is no driver.
TEST(NoDevice, IsAStatus) {
  if (device_count() > 0) GTEST_SKIP() << "there is a CUDA device";
  const std::vector<float> weights(rows * cols, 1.0f);
  std::vector<float> pruned(weights.size(), -7.0f);
  std::vector<std::uint8_t> mask(weights.size(), poison);
  const tsenor::tile_report report{};
  tsenor::report_summary summary{};
  const tsenor::status statuses[] = {
      library_sm80().find_mask(weights.data(), rows, cols, mask.data()),
      library_sm90().find_mask(weights.data(), rows, cols, mask.data()),
      library_sm90().apply_mask(weights.data(), rows, cols, mask.data(), pruned.data()),
      library_sm90().summarize(&report, 1, &summary),
  };
  for (const tsenor::status& s : statuses) {
    EXPECT_EQ(s.code(), status_code::no_device) << s.message() << " (" << s.observed() << ")";
    EXPECT_NE(std::string(s.message()).find("device"), std::string::npos);
  }
  EXPECT_EQ(mask, std::vector<std::uint8_t>(mask.size(), poison));
  EXPECT_EQ(pruned, std::vector<float>(pruned.size(), -7.0f));
}

}  // namespace
}  // namespace tsenor_test
