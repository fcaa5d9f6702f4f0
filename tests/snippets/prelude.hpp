// What the documentation's C++ snippets use without declaring it. They are compiled and not linked.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "tsenor/tsenor.hpp"

extern std::int64_t rows, cols, tiles;  // tiles: of the whole matrix
extern float* weights;                  // [rows, cols]
extern float* norms;                    // [cols]
extern float* importance;               // [rows, cols]
extern std::uint8_t* mask;              // [rows, cols]
void train_a_step(float* weights);
