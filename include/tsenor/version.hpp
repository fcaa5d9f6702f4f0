/// \file
/// The library's version, by semantic versioning.
#pragma once

#define TSENOR_VERSION_MAJOR 0
#define TSENOR_VERSION_MINOR 1
#define TSENOR_VERSION_PATCH 0
