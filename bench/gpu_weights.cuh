/// \file
/// Where the weights of the GPU benchmarks come from.
#pragma once

#include <cuda_fp16.h>

#include <cstdint>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "gpu_data.cuh"
#include "random_weights.cuh"

namespace tsenor_bench {

/// Fills all sets of a rotation.
template <class Weight>
struct weight_source {
  std::string name;
  std::function<void(rotating_matrices<Weight>&)> fill;

  /// Leaves matrices alone that are filled from here already.
  void bring_into(rotating_matrices<Weight>& data) const {
    if (data.holds == name) return;
    data.holds.clear();  // as long as they are neither
    fill(data);
    require(cudaDeviceSynchronize(), name.c_str());
    data.holds = name;
  }
};

template <class Weight>
weight_source<Weight> random_source(tsenor_test::random_weights kind) {
  return {tsenor_test::name_of(kind), [kind](rotating_matrices<Weight>& data) {
            const auto& all = data.all_weights();
            require(tsenor_test::fill_random(all.data(), all.size(), kind, 2505), "fill_random");
          }};
}

template <class Rounded>
__global__ void round_weights(float* weights, std::int64_t count) {
  const std::int64_t stride = std::int64_t(gridDim.x) * blockDim.x;
  for (std::int64_t k = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x; k < count; k += stride)
    weights[k] = float(Rounded(weights[k]));
}

/// Gaussian weights of a narrower type, as float: ties and all, so that two types can be compared on the same weights.
template <class Rounded>
weight_source<float> rounded_source(const std::string& type) {
  return {"gaussian_" + type, [](rotating_matrices<float>& data) {
            random_source<float>(tsenor_test::random_weights::gaussian).fill(data);
            const auto& all = data.all_weights();
            round_weights<Rounded><<<2048, 256>>>(all.data(), all.size());
            require(cudaGetLastError(), "round_weights");
          }};
}

/// The matrix of a .npy file of version 1 that is known to be `[side, side]` in half precision.
inline std::vector<__half> read_half_matrix(const std::string& path, std::int64_t side) {
  std::ifstream file(path, std::ios::binary);
  unsigned char start[10] = {};
  file.read(reinterpret_cast<char*>(start), sizeof start);
  std::string header(start[8] + 256u * start[9], ' ');
  file.read(header.data(), std::streamsize(header.size()));
  const std::string shape = "(" + std::to_string(side) + ", " + std::to_string(side) + ")";
  if (header.find("'<f2'") == std::string::npos || header.find(shape) == std::string::npos)
    throw std::runtime_error("not a half-precision matrix " + shape + ": " + path);
  std::vector<__half> matrix(std::size_t(side * side));
  file.read(reinterpret_cast<char*>(matrix.data()), std::streamsize(matrix.size() * sizeof(__half)));
  if (!file) throw std::runtime_error("truncated: " + path);
  return matrix;
}

// Covers square matrices of `side`, one behind another, with copies of a smaller one whose side divides theirs.
template <class Weight>
__global__ void repeat_matrix(const __half* matrix, std::int64_t matrix_side, Weight* weights, std::int64_t side,
                              std::int64_t count) {
  const std::int64_t stride = std::int64_t(gridDim.x) * blockDim.x;
  for (std::int64_t k = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x; k < count; k += stride)
    weights[k] = Weight(__half2float(matrix[k / side % matrix_side * matrix_side + k % side % matrix_side]));
}

/// The real weights that come with the examples.
template <class Weight>
weight_source<Weight> real_source() {
  return {"real", [](rotating_matrices<Weight>& data) {
            constexpr std::int64_t side = 1024;
            const std::vector<__half> matrix = read_half_matrix(TSENOR_EXAMPLE_WEIGHTS, side);
            const device_array<__half> copy(side * side);
            require(cudaMemcpy(copy.data(), matrix.data(), copy.bytes(), cudaMemcpyHostToDevice), "cudaMemcpy");
            const auto& all = data.all_weights();
            repeat_matrix<<<2048, 256>>>(copy.data(), side, all.data(), data.side(), all.size());
            require(cudaGetLastError(), "repeat_matrix");
            require(cudaDeviceSynchronize(), "repeat_matrix");
          }};
}

// Multiplies each weight by 1 + change * N(0, 1).
template <class Weight>
__global__ void change_weights(Weight* weights, std::int64_t count, float change, std::uint64_t seed) {
  const std::int64_t stride = std::int64_t(gridDim.x) * blockDim.x;
  for (std::int64_t k = std::int64_t(blockIdx.x) * blockDim.x + threadIdx.x; k < count; k += stride) {
    const float z = tsenor_test::random_weight(tsenor_test::random_weights::gaussian, seed, std::uint64_t(k));
    weights[k] = Weight(float(weights[k]) * (1 + change * z));
  }
}

}  // namespace tsenor_bench
