/// \file
/// The library's version, by semantic versioning.
#pragma once

/// Changes that break programs.
#define TSENOR_VERSION_MAJOR 0
/// Additions; while the major version is 0, changes that break programs too.
#define TSENOR_VERSION_MINOR 1
/// Corrections.
#define TSENOR_VERSION_PATCH 0
