/// \file
/// What all commands print with: tables, lines of JSON, the list of what stayed dense.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "checkpoint.hpp"
#include "selection.hpp"

namespace tool {

/// With so many digits after the point.
std::string fixed(double x, int digits);

/// The last part of a path; also of one that ends in a slash.
std::string file_name(const std::filesystem::path& path);

using table_row = std::vector<std::string>;

/// The first column to the left, the others to the right.
void print_aligned(const std::vector<table_row>& rows);

/// One JSON object in a line.
void print_line(const nlohmann::ordered_json& object);

/// Says how many weights were not finite, if some were.
void print_replaced(std::int64_t replaced);

/// The end of every report: what stayed dense and why, other files that were left out, and what a reader may not
/// expect. As text, tensors with the same reason share a line.
void print_rest(const selection& s, const checkpoint& in, bool json);

/// Throws failure(exit_code::input) unless all that was printed has arrived.
void flush_output();

}  // namespace tool
