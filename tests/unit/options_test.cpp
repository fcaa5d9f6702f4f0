// What the options are before anyone changes them.
#include "tsenor/options.hpp"

#include <gtest/gtest.h>

namespace tsenor_test {
namespace {

TEST(Options, AskForTheCertifiedOptimumWithExactlyNByDefault) {
  for (const tsenor::options o : {tsenor::options{}, tsenor::options::optimal()}) {
    EXPECT_EQ(o.method, tsenor::method::optimal);
    EXPECT_EQ(o.constraint, tsenor::constraint::exactly);
    EXPECT_EQ(o.edge, tsenor::edge::reject);
    EXPECT_EQ(o.start, tsenor::start::cold);
  }
}

TEST(Options, AreThePapersWhenPublished) {
  const tsenor::options o = tsenor::options::published();
  EXPECT_EQ(o.method, tsenor::method::published);
  EXPECT_EQ(o.constraint, tsenor::constraint::at_most);
  EXPECT_EQ(o.start, tsenor::start::cold);
  EXPECT_EQ(o.iterations, 300);
  EXPECT_EQ(o.tau, 0.005);
  EXPECT_EQ(o.local_search_steps, 10);
}

}  // namespace
}  // namespace tsenor_test
