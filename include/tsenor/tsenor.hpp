/// \file
/// All of tsenor that a plain C++ compiler can build.
#pragma once

#include "tsenor/apply_mask.hpp"
#include "tsenor/check_mask.hpp"
#include "tsenor/find_mask.hpp"
#include "tsenor/summarize.hpp"
#include "tsenor/version.hpp"
