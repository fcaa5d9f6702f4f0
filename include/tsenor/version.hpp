/// \file
/// The library's version.
#pragma once

#define TSENOR_VERSION_MAJOR 0
#define TSENOR_VERSION_MINOR 1
#define TSENOR_VERSION_PATCH 0
