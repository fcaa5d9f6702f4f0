#include "architectures.hpp"

#define TSENOR_TORCH_TEXT(...) #__VA_ARGS__
#define TSENOR_TORCH_TEXT_OF(...) TSENOR_TORCH_TEXT(__VA_ARGS__)

const char* tsenor_torch::cuda_architectures() { return TSENOR_TORCH_TEXT_OF(__CUDA_ARCH_LIST__); }
