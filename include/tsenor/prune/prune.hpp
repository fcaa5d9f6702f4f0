/// \file
/// All pruners, for a C++ compiler.
#pragma once

#include "tsenor/prune/magnitude.hpp"
#include "tsenor/prune/wanda.hpp"
