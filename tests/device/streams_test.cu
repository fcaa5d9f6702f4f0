// Streams, graphs, threads and memory: find_mask is one stream-ordered launch and nothing else.
#include <thread>

#include "solve_on_gpu.cuh"
#include "support/distributions.hpp"

namespace tsenor_test {
namespace {

class Streams : public device_test {
 protected:
  const layout where_{{8, 16}, reduced() ? 64 : 512, 256};
  std::vector<float> weights(std::uint64_t seed) const {
    return make_weights(distribution::gaussian, where_.rows, where_.cols, seed);
  }
};

/// Keeps a stream busy, so that work which does not wait for the stream would be seen to overtake it.
__global__ void wait_then_write(float* to, const float* from, std::int64_t count, long long cycles) {
  const long long start = clock64();
  while (clock64() - start < cycles) {
  }
  for (std::int64_t k = threadIdx.x; k < count; k += blockDim.x) to[k] = from[k];
}

TEST_F(Streams, OrderTheWorkBehindWhatIsAlreadyInTheStream) {
  const auto late = weights(107);
  const auto expected = solve_on_gpu(where_, late, {});
  const device_buffer<float> source(late);
  const device_call<float> call(where_, weights(109));
  const device_stream stream;
  wait_then_write<<<1, 256, 0, stream>>>(call.weights.data(), source.data(), static_cast<std::int64_t>(late.size()),
                                         50'000'000);
  ASSERT_TRUE(find_mask_float(where_.nm, call.input(), call.outputs(), {}, stream));
  EXPECT_EQ(cudaStreamQuery(stream), cudaErrorNotReady) << "the call waited for the stream";
  EXPECT_TRUE(find_mask_float(where_.nm, call.input(), call.outputs(), {}, stream))
      << "that a query found work unfinished is not an error";
  static_cast<void>(cudaGetLastError());
  require(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  EXPECT_EQ(call.result().mask, expected.mask);
}

/// A graph that has been captured and made executable.
class captured_graph {
 public:
  template <class Work>
  captured_graph(cudaStream_t stream, const Work& work) {
    require(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "cudaStreamBeginCapture");
    work();
    require(cudaStreamEndCapture(stream, &graph_), "cudaStreamEndCapture");
    require(cudaGraphGetNodes(graph_, nullptr, &nodes_), "cudaGraphGetNodes");
    require(cudaGraphInstantiate(&executable_, graph_, 0), "cudaGraphInstantiate");
  }
  ~captured_graph() {
    static_cast<void>(cudaGraphExecDestroy(executable_));
    static_cast<void>(cudaGraphDestroy(graph_));
  }
  captured_graph(const captured_graph&) = delete;
  captured_graph& operator=(const captured_graph&) = delete;
  void launch(cudaStream_t stream) const { require(cudaGraphLaunch(executable_, stream), "cudaGraphLaunch"); }
  std::size_t nodes() const { return nodes_; }

 private:
  cudaGraph_t graph_ = nullptr;
  cudaGraphExec_t executable_ = nullptr;
  std::size_t nodes_ = 0;
};

TEST_F(Streams, CaptureOneLaunchThatReplaysOnNewWeights) {
  device_call<float> call(where_, weights(113));
  const device_stream stream;
  const captured_graph graph(
      stream, [&] { EXPECT_TRUE(find_mask_float(where_.nm, call.input(), call.outputs(), {}, stream)); });
  EXPECT_EQ(graph.nodes(), 1u);
  EXPECT_TRUE(call.outputs_untouched()) << "a captured call ran";
  for (const std::uint64_t seed : {127u, 131u, 137u}) {
    call.weights.write(weights(seed));
    graph.launch(stream);
    require(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
    EXPECT_EQ(call.result().mask, solve_on_gpu(where_, weights(seed), {}).mask) << "seed " << seed;
  }
}

TEST_F(Streams, TakeNoMemory) {
  const device_call<float> call(where_, weights(139));
  const layout large{{32, 64}, 128, 128};
  const device_call<float> other(large, make_weights(distribution::gaussian, 128, 128, 149));
  const auto solve_both = [&] {
    ASSERT_TRUE(find_mask_float(where_.nm, call.input(), call.outputs(), {}));
    ASSERT_TRUE(find_mask_float(large.nm, other.input(), other.outputs(), {}));
    require(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  };
  solve_both();  // loads the kernels, which does take memory, once
  // Other processes may take or free memory meanwhile, so one of many short attempts has to find none taken.
  bool none_taken = false;
  for (int attempt = 0; attempt < 1000 && !none_taken; ++attempt) {
    std::size_t before = 0, after = 0, total = 0;
    require(cudaMemGetInfo(&before, &total), "cudaMemGetInfo");
    solve_both();
    require(cudaMemGetInfo(&after, &total), "cudaMemGetInfo");
    none_taken = before == after;
  }
  EXPECT_TRUE(none_taken);
}

TEST_F(Streams, OfSeveralThreadsDoNotDisturbEachOther) {
  constexpr int threads = 32, calls = 5;
  std::vector<std::vector<std::uint8_t>> expected, found(threads);
  for (int t = 0; t < threads; ++t) expected.push_back(solve_on_gpu(where_, weights(151u + t), {}).mask);
  std::vector<char> succeeded(threads, 0);
  std::vector<std::thread> running;
  for (int t = 0; t < threads; ++t) {
    running.emplace_back([&, t] {
      const device_call<float> call(where_, weights(151u + t));
      const device_stream stream;
      bool ok = true;
      for (int k = 0; k < calls; ++k) {
        ok = ok && find_mask_float(where_.nm, call.input(), call.outputs(), {}, stream).ok();
      }
      ok = ok && cudaStreamSynchronize(stream) == cudaSuccess;
      found[t] = call.mask.read();
      succeeded[t] = ok;
    });
  }
  for (auto& thread : running) thread.join();
  for (int t = 0; t < threads; ++t) {
    EXPECT_TRUE(succeeded[t]) << "thread " << t;
    EXPECT_EQ(found[t], expected[t]) << "thread " << t;
  }
}

TEST_F(Streams, OfWhichAThousandAreBusyDoNotDisturbEachOther) {
  const int streams = reduced() ? 20 : 1000;
  constexpr std::int64_t side = 64, size = side * side;
  const auto all = make_weights(distribution::gaussian, streams * side, side, 163);
  const layout matrix{{8, 16}, side, side}, stacked{{8, 16}, streams * side, side};
  const auto expected = solve_on_gpu(stacked, all, {}).mask;
  const device_buffer<float> source(all), weights(all.size());
  const device_buffer<std::uint8_t> mask(all.size());
  {
    const std::vector<device_stream> busy(static_cast<std::size_t>(streams));
    for (int k = 0; k < streams; ++k) {
      tsenor::mask_outputs<float> out;
      out.mask = mask.data() + k * size;
      const float* const own = weights.data() + k * size;
      wait_then_write<<<1, 256, 0, busy[k]>>>(weights.data() + k * size, source.data() + k * size, size, 100'000);
      ASSERT_TRUE(find_mask_float(matrix.nm, matrix.view(own), out, {}, busy[k])) << "stream " << k;
    }
    require(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  }
  EXPECT_EQ(mask.read(), expected);
}

TEST_F(Streams, OfAnotherDeviceAreServedThere) {
  if (device_count() < 2) GTEST_SKIP() << "needs two devices";
  const auto expected = solve_on_gpu(where_, weights(157), {}).mask;
  require(cudaSetDevice(1), "cudaSetDevice");
  {
    const device_call<float> call(where_, weights(157));
    const device_stream stream;
    require(cudaSetDevice(0), "cudaSetDevice");
    EXPECT_TRUE(find_mask_float(where_.nm, call.input(), call.outputs(), {}, stream));
    int current = -1;
    require(cudaGetDevice(&current), "cudaGetDevice");
    EXPECT_EQ(current, 0) << "the caller's device was changed";
    require(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
    require(cudaSetDevice(1), "cudaSetDevice");
    EXPECT_EQ(call.mask.read(), expected);
  }
  require(cudaSetDevice(0), "cudaSetDevice");
}

}  // namespace
}  // namespace tsenor_test
