#include "settings.hpp"

#include <CLI/CLI.hpp>

#include "command_line.hpp"
#include "failure.hpp"
#include "parse_or_help.hpp"

namespace tool {
namespace {

constexpr int max_threads = 1024;

constexpr const char* description =
    "Prunes the linear layers of a checkpoint to N:M sparsity.\n"
    "\n"
    "IN is .safetensors; its 2-D F16, BF16 and F32 tensors are weights [outputs, inputs]. OUT gets the pruned weights "
    "in the\n"
    "same type, all else unchanged. It is whole or absent, and IN is never touched.\n"
    "\n"
    "Methods: magnitude keeps the largest |w|. The others need --gram: a .safetensors file that holds, for each tensor "
    "to\n"
    "prune, an F32 tensor [inputs, inputs] of the same name, the sum of x x^T over the layer's inputs x on sample "
    "text.\n"
    "wanda keeps the largest |w| times its input's norm; sparsegpt and alps also update what they keep, and need a "
    "GPU.\n";

constexpr const char* footer =
    "Structures: transposable, N in every row and column of each M x M tile, the best such mask; published, the same "
    "by the\n"
    "approximation of arXiv 2505.23949 (N or fewer); row-wise, standard N:M; row-then-column, the best N of each row "
    "and of\n"
    "these the best N of each column. With lists of patterns or structures OUT has to contain {pattern} or "
    "{structure}, as\n"
    "in 'pruned-{pattern}-{structure}.safetensors' (16:32 becomes 16x32), and inputs are analysed once for all (alps: "
    "8 bytes\n"
    "of device memory for each entry of a gram matrix).\n"
    "\n"
    "Reported for each matrix (--json: one object a line): error = squared error of the layer's outputs / their "
    "square, on\n"
    "the inputs that gram sums up (GPU only); dead = inputs without activations, or with NaN or infinite ones; seconds "
    "=\n"
    "the pruning alone, prepare_seconds = the analysis of the inputs (alps), 0 where it was done before.\n"
    "\n"
    "Exit status: 0 done; 2 wrong usage; 3 a file cannot be used; 4 the CUDA device cannot be used.";

// The strings as typed; their meaning is worked out after CLI11 has checked them.
struct raw_arguments {
  std::string in, out, gram, select, method, device = "auto";
  std::vector<std::string> patterns, structures = {"transposable"};
  std::int64_t tokens = 1;
  int iterations = 300, threads = 0;
  bool json = false;
};

void declare_lists(CLI::App& app, raw_arguments& raw) {
  app.add_option("IN", raw.in, "checkpoint, .safetensors")->required();
  app.add_option("OUT", raw.out, "pruned checkpoint, .safetensors")->required();
  app.add_option("--pattern", raw.patterns, "N:M, as in 16:32, or a list, as in 4:8,8:16")
      ->required()
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("N:M[,N:M]...");
  app.add_option("--structure", raw.structures,
                 "transposable, published, row-wise, row-then-column, or a list [default: transposable]")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"transposable", "published", "row-wise", "row-then-column"}))
      ->type_name("STRUCTURE[,STRUCTURE]...");
}

void declare_options(CLI::App& app, raw_arguments& raw) {
  declare_lists(app, raw);
  app.add_option("--method", raw.method, "magnitude, wanda, sparsegpt or alps")
      ->required()
      ->check(CLI::IsMember({"magnitude", "wanda", "sparsegpt", "alps"}));
  app.add_option("--gram", raw.gram,
                 "gram matrices of the layers' inputs, .safetensors; all methods but magnitude need it");
  app.add_option("--tokens", raw.tokens, "tokens that the gram matrices sum over; matters for dead inputs alone")
      ->capture_default_str()
      ->check(CLI::Range(std::int64_t(1), std::int64_t(1) << 60));
  app.add_option("--iterations", raw.iterations, "of alps, at most")
      ->capture_default_str()
      ->check(CLI::Range(1, 100000));
  app.add_option("--device", raw.device, "auto takes CUDA where a device is there; on the CPU magnitude and wanda work")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  app.add_option(
         "--select", raw.select,
         "regular expression that the names of the tensors to prune match in part [default: every 2-D tensor that "
         "the patterns fit and --gram, where given, knows]")
      ->type_name("REGEX");
  app.add_option("--threads", raw.threads, "CPU threads, 0 for one for each hardware thread")
      ->capture_default_str()
      ->check(CLI::Range(0, max_threads));
  app.add_flag("--json", raw.json, "print one JSON object a matrix instead of a table");
}

named_structure structure_named(const std::string& name) {
  using tsenor::prune::structure;
  named_structure s{name, {}};
  if (name == "published") s.rule.search = tsenor::options::published();
  if (name == "row-wise") s.rule.structure = structure::row_wise;
  if (name == "row-then-column") s.rule.structure = structure::row_then_column;
  return s;
}

method_choice method_named(const std::string& name) {
  for (const method_choice m : {method_choice::wanda, method_choice::sparsegpt, method_choice::alps})
    if (name == name_of(m)) return m;
  return method_choice::magnitude;
}

void check(const settings& s) {
  for (const std::filesystem::path& file : {s.in, std::filesystem::path(s.out), s.gram.value_or(s.in)})
    if (file.extension() != ".safetensors")
      throw failure(exit_code::usage, in_quotes(file.string()) + " has to end in .safetensors");
  if (s.method != method_choice::magnitude && !s.gram)
    throw failure(exit_code::usage, std::string("--method ") + name_of(s.method) + " needs --gram; see --help");
  if (s.patterns.size() > 1 && s.out.find("{pattern}") == std::string::npos)
    throw failure(exit_code::usage, "OUT has to contain {pattern}, as there are several; see --help");
  if (s.structures.size() > 1 && s.out.find("{structure}") == std::string::npos)
    throw failure(exit_code::usage, "OUT has to contain {structure}, as there are several; see --help");
}

settings interpret(const raw_arguments& raw, const CLI::App& app) {
  settings s;
  s.in = raw.in;
  s.out = raw.out;
  if (app.count("--gram") > 0) s.gram = raw.gram;
  for (const std::string& text : raw.patterns) s.patterns.push_back(parse_pattern(text));
  for (const std::string& name : raw.structures) s.structures.push_back(structure_named(name));
  s.method = method_named(raw.method);
  if (raw.device == "cpu") s.device = device_choice::cpu;
  if (raw.device == "cuda") s.device = device_choice::cuda;
  if (app.count("--select") > 0) s.select = raw.select;
  s.tokens = raw.tokens;
  s.iterations = raw.iterations;
  s.threads = raw.threads;
  s.json = raw.json;
  check(s);
  return s;
}

void replace(std::string& text, const std::string& what, const std::string& by) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
}

}  // namespace

const char* name_of(method_choice method) {
  switch (method) {
    case method_choice::magnitude:
      return "magnitude";
    case method_choice::wanda:
      return "wanda";
    case method_choice::sparsegpt:
      return "sparsegpt";
    case method_choice::alps:
      return "alps";
  }
  return "";
}

std::string text_of(tsenor::pattern p) { return std::to_string(p.n) + ":" + std::to_string(p.m); }

std::filesystem::path output_path(const settings& s, tsenor::pattern pattern, const named_structure& structure) {
  std::string path = s.out;
  replace(path, "{pattern}", std::to_string(pattern.n) + "x" + std::to_string(pattern.m));
  replace(path, "{structure}", structure.name);
  return path;
}

std::optional<settings> parse_command_line(int argc, char** argv) {
  CLI::App app(description, "tsenor_prune");
  app.footer(footer);
  raw_arguments raw;
  declare_options(app, raw);
  if (!parse_or_help(app, argc, argv)) return std::nullopt;
  return interpret(raw, app);
}

}  // namespace tool
