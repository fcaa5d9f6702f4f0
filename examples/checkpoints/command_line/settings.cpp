#include "settings.hpp"

#include "arguments.hpp"
#include "checkpoint.hpp"
#include "failure.hpp"
#include "parse_or_help.hpp"

namespace tool {
namespace {

constexpr const char* description =
    "Prunes checkpoints on the disk to N:M. A transposable mask keeps N weights in every row and in every column of "
    "each\n"
    "M x M tile. tsenor finds the best such mask, with a certificate. It can also make standard N:M masks.\n";

constexpr const char* footer =
    "tsenor COMMAND --help explains a command. OUT is whole or absent, and IN is never changed. Every report ends with "
    "the\n"
    "tensors that stayed dense, and the reasons.\n"
    "\n"
    "Exit status: 0 done; 1 check found a broken pattern; 2 the command line is wrong; 3 a file cannot be used, or "
    "nothing\n"
    "in it can be pruned; 4 the CUDA device cannot be used.";

command command_named(const std::string& name) {
  if (name == "mask") return command::mask;
  if (name == "prune") return command::prune;
  if (name == "check") return command::check;
  return name == "apply" ? command::apply : command::inspect;
}

tsenor::options options_for(const std::string& method, const arguments& raw) {
  tsenor::options options = method == "published" ? tsenor::options::published() : tsenor::options::optimal();
  if (raw.constraint == "exactly") options.constraint = tsenor::constraint::exactly;
  if (raw.constraint == "at-most") options.constraint = tsenor::constraint::at_most;
  if (raw.edge == "partial") options.edge = tsenor::edge::partial;
  return options;
}

named_structure structure_named(const std::string& name, command of, const arguments& raw) {
  using tsenor::prune::structure;
  named_structure s{name, {}};
  s.rule.search = options_for(name == "published" ? "published" : "optimal", raw);
  if (of == command::check && raw.constraint.empty()) s.rule.search.constraint = tsenor::constraint::at_most;
  if (name == "row-wise") s.rule.structure = structure::row_wise;
  if (name == "row-then-column") s.rule.structure = structure::row_then_column;
  return s;
}

pruning_method method_named(const std::string& name) {
  for (const pruning_method m : {pruning_method::wanda, pruning_method::sparsegpt, pruning_method::alps})
    if (name == name_of(m)) return m;
  return pruning_method::magnitude;
}

[[noreturn]] void refuse(const std::string& why) { throw failure(exit_code::usage, why); }

// OUT, as the form of IN wants it.
void check_out(const settings& s) {
  const file_kind in = kind_of(s.in, "IN");
  if (s.out.empty()) refuse("OUT is empty; name a file or folder");
  if (s.command == command::mask && in != file_kind::npy && s.out.extension() != ".safetensors")
    refuse("OUT has to end in .safetensors: masks of a model go to one file");
  if (s.command != command::mask && in == file_kind::folder) {
    if (const auto ending = s.out.extension(); !is_directory(s.out) && (ending == ".safetensors" || ending == ".npy"))
      refuse("OUT has to be a folder, as IN is, and cannot end in " + ending.string());
    return;
  }
  if (in == file_kind::npy && s.out.extension() != ".npy") refuse("OUT has to end in .npy, as IN does");
  if (in == file_kind::safetensors && s.out.extension() != ".safetensors")
    refuse("OUT has to end in .safetensors, as IN does");
}

void check_inspect(const settings& s) {
  if (!s.picture) return;
  if (s.patterns.size() != 1) refuse("--svg takes one pattern; give one N:M to --pattern");
  if (s.methods.size() != 1) refuse("--svg takes one method; give one to --method");
}

void check_prune(const settings& s) {
  const std::string out = s.out.string();
  if (s.gram && (kind_of(*s.gram, "--gram") == file_kind::npy) != (kind_of(s.in, "IN") == file_kind::npy))
    refuse("the gram matrix of an .npy matrix has to be in .npy, those of a model have to be in .safetensors");
  if (s.method != pruning_method::magnitude && !s.gram)
    refuse(std::string("--method ") + name_of(s.method) + " needs --gram; see --help");
  if (s.patterns.size() > 1 && out.find("{pattern}") == std::string::npos)
    refuse("there are several patterns, so OUT has to contain {pattern}; see --help");
  if (s.structures.size() > 1 && out.find("{structure}") == std::string::npos)
    refuse("there are several structures, so OUT has to contain {structure}; see --help");
  if (s.patterns.size() == 1 && out.find("{pattern}") != std::string::npos && s.patterns.front().size() > 1)
    refuse("OUT cannot contain {pattern} if tensors have different patterns; leave it out");
}

void check(const settings& s) {
  const file_kind in = kind_of(s.in, "IN");
  if (s.select && in == file_kind::npy)
    refuse("--select is for models, and an .npy file holds one matrix; leave the option out");
  if (s.command == command::inspect) return check_inspect(s);
  if (s.command != command::check) check_out(s);
  if (s.command == command::prune) return check_prune(s);
  if (s.command == command::apply && (kind_of(s.masks, "MASKS") == file_kind::npy) != (in == file_kind::npy))
    refuse("masks of an .npy matrix have to be in .npy, those of a model have to be in .safetensors");
  if ((s.command == command::mask || s.command == command::check) && s.patterns.size() != 1)
    refuse("a tensor has one pattern; give one N:M to --pattern, or NAME=N:M for some tensors");
  if (s.command == command::mask && s.methods.size() != 1) refuse("masks come from one method; give one to --method");
}

settings interpret(const arguments& raw, const CLI::App& command) {
  const auto given = [&](const char* option) {
    const CLI::Option* const known = command.get_option_no_throw(option);
    return known != nullptr && known->count() > 0;
  };
  settings s;
  s.command = command_named(command.get_name());
  s.in = raw.in;
  s.out = given("--svg") ? raw.svg : raw.out;
  s.masks = raw.masks;
  if (given("--gram")) s.gram = raw.gram;
  if (given("--svg")) s.picture = tile_index{raw.tile.at(0), raw.tile.at(1)};
  s.patterns = parse_patterns(raw.patterns);
  for (const std::string& method : raw.methods) s.methods.push_back(options_for(method, raw));
  for (const std::string& name : raw.structures) s.structures.push_back(structure_named(name, s.command, raw));
  s.method = method_named(raw.method);
  if (raw.device == "cpu") s.device = device_choice::cpu;
  if (raw.device == "cuda") s.device = device_choice::cuda;
  if (raw.importance == "squared") s.importance = importance_choice::squared;
  if (given("--select")) s.select.emplace("--select", raw.select);
  if (given("--transposed")) s.transposed.emplace("--transposed", raw.transposed);
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

const char* name_of(importance_choice importance) {
  return importance == importance_choice::magnitude ? "magnitude" : "squared";
}

const char* name_of(pruning_method method) {
  switch (method) {
    case pruning_method::magnitude:
      return "magnitude";
    case pruning_method::wanda:
      return "wanda";
    case pruning_method::sparsegpt:
      return "sparsegpt";
    case pruning_method::alps:
      return "alps";
  }
  return "";
}

const char* name_of(tsenor::method method) { return method == tsenor::method::optimal ? "optimal" : "published"; }

const char* name_of(tsenor::constraint constraint) {
  return constraint == tsenor::constraint::exactly ? "exactly" : "at-most";
}

std::filesystem::path output_path(const settings& s, const pattern_rules& rules, const named_structure& structure) {
  std::string path = s.out.string();
  const tsenor::pattern pattern = rules.front().pattern;
  replace(path, "{pattern}", std::to_string(pattern.n) + "x" + std::to_string(pattern.m));
  replace(path, "{structure}", structure.name);
  return path;
}

std::optional<settings> parse_command_line(int argc, char** argv) {
  CLI::App app(description, "tsenor");
  app.footer(footer);
  arguments raw;
  declare_commands(app, raw);
  if (!parse_or_help(app, argc, argv)) return std::nullopt;
  return interpret(raw, *app.get_subcommands().front());
}

}  // namespace tool
