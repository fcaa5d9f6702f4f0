#include <algorithm>

#include "failure.hpp"
#include "solver.hpp"
#include "tsenor/check_mask.cuh"
#include "tsenor/find_mask.cuh"
#include "tsenor/summarize.cuh"

namespace tool {
namespace {

void require_cuda(cudaError_t error, const char* what) {
  if (error != cudaSuccess)
    throw failure(exit_code::device, std::string(what) + ": " + cudaGetErrorString(error) +
                                         "; check the device with nvidia-smi, or use --device cpu");
}

// An array in device memory.
template <class T>
class device_array {
 public:
  explicit device_array(std::int64_t count) : bytes_(static_cast<std::size_t>(count) * sizeof(T)) {
    require_cuda(cudaMalloc(&data_, bytes_), "cannot allocate device memory");
  }
  ~device_array() { cudaFree(data_); }
  device_array(const device_array&) = delete;
  device_array& operator=(const device_array&) = delete;

  T* get() const { return data_; }
  void copy_from(const void* host) {
    require_cuda(cudaMemcpy(data_, host, bytes_, cudaMemcpyHostToDevice), "cannot copy to the device");
  }
  void copy_to(void* host) const {
    require_cuda(cudaMemcpy(host, data_, bytes_, cudaMemcpyDeviceToHost), "the device failed");
  }

 private:
  T* data_ = nullptr;
  std::size_t bytes_;
};

// Seconds between two points of the default stream.
class device_timer {
 public:
  device_timer() {
    require_cuda(cudaEventCreate(&start_), "cannot create an event");
    require_cuda(cudaEventCreate(&stop_), "cannot create an event");
  }
  ~device_timer() {
    cudaEventDestroy(start_);
    cudaEventDestroy(stop_);
  }
  device_timer(const device_timer&) = delete;
  device_timer& operator=(const device_timer&) = delete;

  void start() { require_cuda(cudaEventRecord(start_), "cannot record an event"); }
  double stop() {
    float milliseconds = 0;
    require_cuda(cudaEventRecord(stop_), "cannot record an event");
    require_cuda(cudaEventSynchronize(stop_), "the device failed");
    require_cuda(cudaEventElapsedTime(&milliseconds, start_, stop_), "the device failed");
    return milliseconds * 1e-3;
  }

 private:
  cudaEvent_t start_ = nullptr, stop_ = nullptr;
};

template <class Weight, class Importance>
solution find(const Weight* host_weights, const matrix& m, tsenor::pattern pattern, const settings& s,
              Importance importance) {
  const std::int64_t tiles = tile_count(m, pattern);
  device_array<Weight> weights(m.rows * m.cols);
  device_array<std::uint8_t> mask(m.rows * m.cols);
  device_array<tsenor::tile_report> reports(tiles);
  device_array<tsenor::report_summary> summary(1);
  device_array<tsenor::mask_violations> broken(1);
  weights.copy_from(host_weights);
  tsenor::mask_outputs<Weight> out;
  out.mask = {mask.get(), m.cols};
  out.reports = reports.get();

  // One tile first: the driver loads the kernel at its first launch, which is no part of the search.
  const std::int64_t first_rows = std::min<std::int64_t>(m.rows, pattern.m),
                     first_cols = std::min<std::int64_t>(m.cols, pattern.m);
  const tsenor::matrix_view<const Weight> first(weights.get(), first_rows, first_cols, m.cols);
  require(tsenor::find_mask(pattern, first, out, s.options, importance));

  solution found;
  device_timer timer;
  timer.start();
  require(tsenor::find_mask(pattern, tsenor::matrix_view<const Weight>(weights.get(), m.rows, m.cols), out, s.options,
                            importance));
  found.seconds = timer.stop();

  require(tsenor::summarize(reports.get(), tiles, summary.get()));
  const tsenor::matrix_view<const std::uint8_t> mask_view(mask.get(), m.rows, m.cols);
  require(tsenor::check_mask(pattern, mask_view, broken.get(), s.options.constraint, s.options.edge));
  tsenor::mask_violations violations{};
  found.mask.resize(static_cast<std::size_t>(m.rows) * static_cast<std::size_t>(m.cols));
  mask.copy_to(found.mask.data());
  summary.copy_to(&found.summary);
  broken.copy_to(&violations);
  found.violations = violations.rows + violations.cols;
  return found;
}

class cuda_solver : public solver {
 public:
  const char* device() const override { return "cuda"; }
  solution solve(matrix& m, tsenor::pattern pattern, const settings& s) override {
    return visit_weights(m, [&](const auto* weights) {
      return s.importance == importance_choice::squared ? find(weights, m, pattern, s, tsenor::squared{})
                                                        : find(weights, m, pattern, s, tsenor::magnitude{});
    });
  }
};

}  // namespace

std::unique_ptr<solver> make_cuda_solver(std::string& why_not) {
  int devices = 0;
  const cudaError_t error = cudaGetDeviceCount(&devices);
  if (error == cudaSuccess && devices > 0) return std::make_unique<cuda_solver>();
  cudaGetLastError();  // what was found is reported here; later calls start clean
  why_not =
      std::string("there is no CUDA device (") + cudaGetErrorString(error) + "); check nvidia-smi, or use --device cpu";
  return nullptr;
}

}  // namespace tool
