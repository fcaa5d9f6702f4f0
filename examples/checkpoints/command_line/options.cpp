#include "settings.hpp"

#include <CLI/CLI.hpp>

#include "command_line.hpp"
#include "failure.hpp"
#include "parse_or_help.hpp"

namespace tool {
namespace {

constexpr int max_threads = 1024;

constexpr const char* description =
    "Finds transposable N:M masks: in every M x M tile exactly (or at most) N weights are kept in every row and "
    "column,\n"
    "by default the best of them all, with a certificate.\n"
    "\n"
    "IN is .npy (2-D, little-endian f2, f4 or f8, C order) or .safetensors (its 2-D F16, BF16 and F32 tensors).\n"
    "OUT .npy gets a uint8 mask of the same shape; OUT .safetensors gets the pruned weights, all else unchanged.\n"
    "Without OUT the result is only reported. OUT and the picture are whole or absent, IN is never touched.\n";

constexpr const char* footer =
    "Reported for each matrix (--json: one object a line): kept = importance kept / importance of the matrix; value "
    "and\n"
    "bound = importance kept, and what no mask can exceed; gap = (bound - value) / value, the most that a better mask\n"
    "could gain (0 for an all-zero matrix); violations = rows and columns of tiles that break the constraint; seconds "
    "=\n"
    "the mask search alone; replaced = weights that were NaN (count as 0) or infinite (count as the largest finite "
    "value).\n"
    "\n"
    "Exit status: 0 done; 2 wrong usage; 3 a file cannot be used; 4 the CUDA device cannot be used.";

// The strings as typed; their meaning is worked out after CLI11 has checked them.
struct raw_arguments {
  std::string in, out, svg, select;
  std::vector<std::string> patterns, methods = {"optimal"};
  std::string device = "auto", constraint, edge = "reject", importance = "magnitude";
  std::vector<std::int64_t> tile = {0, 0};
  int threads = 0;
  bool json = false;
};

void declare_options(CLI::App& app, raw_arguments& raw) {
  app.add_option("IN", raw.in, "input file, .npy or .safetensors")->required();
  CLI::Option* const out = app.add_option("OUT", raw.out, "output file, with the same ending as IN");
  app.add_option("--pattern", raw.patterns, "N:M, as in 8:16; without OUT also a list, as in 4:8,8:16")
      ->required()
      ->delimiter(',')
      ->allow_extra_args(false)  // files may follow it
      ->type_name("N:M[,N:M]...");
  app.add_option("--device", raw.device, "auto takes CUDA where a device is there")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  app.add_option("--method", raw.methods,
                 "optimal: the mask that keeps the most; published: the approximation of arXiv 2505.23949; without OUT "
                 "also both, as in optimal,published [default: optimal]")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"optimal", "published"}))
      ->type_name("METHOD[,METHOD]...");
  app.add_option("--constraint", raw.constraint,
                 "weights kept in each row and column: N, or N or fewer [default: the method's; optimal exactly, "
                 "published at-most]")
      ->check(CLI::IsMember({"exactly", "at-most"}));
  app.add_option("--edge", raw.edge, "sides that are no multiple of M: refused, or tiled with smaller tiles")
      ->capture_default_str()
      ->check(CLI::IsMember({"reject", "partial"}));
  app.add_option("--importance", raw.importance, "of a weight: |w|, or its square")
      ->capture_default_str()
      ->check(CLI::IsMember({"magnitude", "squared"}));
  app.add_option("--select", raw.select,
                 "regular expression that the names of the tensors to prune match in part "
                 "[default: every 2-D tensor that the pattern fits]")
      ->type_name("REGEX");
  app.add_option("--threads", raw.threads, "CPU threads, 0 for one for each hardware thread")
      ->capture_default_str()
      ->check(CLI::Range(0, max_threads))
      ->type_name("K");
  CLI::Option* const svg =
      app.add_option(
             "--svg", raw.svg,
             "draw a tile of the one matrix: importances, the published method's entropic plan with its sums, and "
             "the mask with the weights kept in each row and column")
          ->type_name("FILE")
          ->excludes(out);
  app.add_option("--tile", raw.tile, "the tile to draw, counted in tiles from 0 [default: 0,0]")
      ->delimiter(',')
      ->expected(2)
      ->check(CLI::NonNegativeNumber)
      ->type_name("ROW,COL")
      ->needs(svg);
  app.add_flag("--json", raw.json, "print one JSON object a matrix instead of a table");
}

file_kind kind_of(const std::filesystem::path& path, const char* which) {
  if (path.extension() == ".npy") return file_kind::npy;
  if (path.extension() == ".safetensors") return file_kind::safetensors;
  throw failure(exit_code::usage, std::string(which) + " " + in_quotes(path.string()) +
                                      " is of an unknown kind; it has to end in .npy or .safetensors");
}

void check_out(const settings& s) {
  if (!s.out) return;
  const std::string out = s.picture ? "--svg" : "OUT";
  if (!s.picture && kind_of(*s.out, "OUT") != s.kind)
    throw failure(exit_code::usage, "OUT has to end in " + in_quotes(s.in.extension().string()) + ", as IN does");
  if (s.patterns.size() != 1)
    throw failure(exit_code::usage, out + " takes one pattern; give one N:M to --pattern, or leave " + out + " out");
  if (s.methods.size() != 1)
    throw failure(exit_code::usage, out + " takes one method; give one to --method, or leave " + out + " out");
}

tsenor::options options_for(const std::string& method, const raw_arguments& raw) {
  tsenor::options options = method == "published" ? tsenor::options::published() : tsenor::options::optimal();
  if (raw.constraint == "exactly") options.constraint = tsenor::constraint::exactly;
  if (raw.constraint == "at-most") options.constraint = tsenor::constraint::at_most;
  if (raw.edge == "partial") options.edge = tsenor::edge::partial;
  return options;
}

settings interpret(const raw_arguments& raw, const CLI::App& app) {
  settings s;
  s.in = raw.in;
  if (app.count("OUT") > 0) s.out = raw.out;
  if (app.count("--svg") > 0) {
    s.out = raw.svg;
    s.picture = tile_index{raw.tile.at(0), raw.tile.at(1)};
  }
  s.kind = kind_of(s.in, "IN");
  for (const std::string& text : raw.patterns) s.patterns.push_back(parse_pattern(text));
  for (const std::string& method : raw.methods) s.methods.push_back(options_for(method, raw));
  if (raw.device == "cpu") s.device = device_choice::cpu;
  if (raw.device == "cuda") s.device = device_choice::cuda;
  if (raw.importance == "squared") s.importance = importance_choice::squared;
  if (app.count("--select") > 0) s.select = raw.select;
  s.threads = raw.threads;
  s.json = raw.json;
  if (s.select && s.kind == file_kind::npy)
    throw failure(exit_code::usage,
                  "--select is for .safetensors; an .npy file holds one matrix, leave the option out");
  check_out(s);
  return s;
}

}  // namespace

const char* name_of(importance_choice importance) {
  return importance == importance_choice::magnitude ? "magnitude" : "squared";
}

const char* name_of(tsenor::method method) {
  switch (method) {
    case tsenor::method::optimal:
      return "optimal";
    case tsenor::method::published:
      return "published";
  }
  return "";
}

const char* name_of(tsenor::constraint constraint) {
  return constraint == tsenor::constraint::exactly ? "exactly" : "at-most";
}

std::optional<settings> parse_command_line(int argc, char** argv) {
  CLI::App app(description, "tsenor_mask");
  app.footer(footer);
  raw_arguments raw;
  declare_options(app, raw);
  if (!parse_or_help(app, argc, argv)) return std::nullopt;
  return interpret(raw, app);
}

}  // namespace tool
