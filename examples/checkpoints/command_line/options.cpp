#include <limits>

#include "arguments.hpp"

namespace tool {
namespace {

constexpr int max_threads = 1024;

constexpr const char* what_in =
    "a .safetensors file, a folder with a model, its model.safetensors.index.json, or an .npy matrix";

void add_common(CLI::App& command, arguments& raw) {
  command.add_option("IN", raw.in, what_in)->required();
  command.add_option("--threads", raw.threads, "CPU threads, 0 for one for each hardware thread")
      ->capture_default_str()
      ->check(CLI::Range(0, max_threads))
      ->type_name("K");
  command.add_flag("--json", raw.json, "print one JSON object a line instead of a table");
}

void add_select(CLI::App& command, arguments& raw) {
  command
      .add_option(
          "--select", raw.select,
          "regular expression that the names of the tensors match in part [default: all weights but embeddings, "
          "heads, routers and the like, which are listed]")
      ->type_name("REGEX");
}

CLI::Option* add_patterns(CLI::App& command, arguments& raw, const std::string& help) {
  return command.add_option("--pattern", raw.patterns, help)
      ->delimiter(',')
      ->allow_extra_args(false)  // files may follow it
      ->type_name("[NAME=]N:M,...");
}

void add_edge(CLI::App& command, arguments& raw) {
  command.add_option("--edge", raw.edge, "sides that are no multiple of M: left out, or tiled with smaller tiles")
      ->capture_default_str()
      ->check(CLI::IsMember({"reject", "partial"}));
}

void add_constraint(CLI::App& command, arguments& raw, const std::string& by_default) {
  command
      .add_option("--constraint", raw.constraint,
                  "weights kept in each row and column: N, or N or fewer [default: " + by_default + "]")
      ->check(CLI::IsMember({"exactly", "at-most"}));
}

void add_device(CLI::App& command, arguments& raw) {
  command.add_option("--device", raw.device, "auto takes CUDA where a device is there")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
}

void add_transposed(CLI::App& command, arguments& raw) {
  command
      .add_option("--transposed", raw.transposed,
                  "regular expression for the names of tensors that are stored [inputs, outputs], as GPT-2's are")
      ->type_name("REGEX");
}

// How masks are searched for; inspect and mask.
void add_search(CLI::App& command, arguments& raw, const std::string& of_method) {
  command
      .add_option("--method", raw.methods,
                  "optimal: the mask that keeps the most; published: the approximation of arXiv 2505.23949" + of_method)
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"optimal", "published"}))
      ->type_name("METHOD,...");
  add_constraint(command, raw, "the method's; optimal exactly, published at-most");
  command.add_option("--importance", raw.importance, "of a weight: |w|, or its square")
      ->capture_default_str()
      ->check(CLI::IsMember({"magnitude", "squared"}));
  add_edge(command, raw);
  add_select(command, raw);
  add_device(command, raw);
}

void declare_inspect(CLI::App& app, arguments& raw) {
  CLI::App& command = *app.add_subcommand("inspect", "what is in a checkpoint, and what masks would keep of it");
  add_common(command, raw);
  CLI::Option* const pattern =
      add_patterns(command, raw, "patterns to try, as in 4:8,8:16 [default: list the tensors]");
  add_search(command, raw, ", or both, as in optimal,published");
  CLI::Option* const svg =
      command
          .add_option("--svg", raw.svg,
                      "draw a tile of the one matrix: importances, the published method's entropic "
                      "plan with its sums, and the mask with the weights kept in each row and column")
          ->type_name("FILE")
          ->needs(pattern);
  command.add_option("--tile", raw.tile, "the tile to draw, counted in tiles from 0 [default: 0,0]")
      ->delimiter(',')
      ->expected(2)
      ->check(CLI::NonNegativeNumber)
      ->type_name("ROW,COL")
      ->needs(svg);
}

void declare_mask(CLI::App& app, arguments& raw) {
  CLI::App& command = *app.add_subcommand("mask", "masks into a file: BOOL tensors of the same names, or a uint8 .npy");
  add_common(command, raw);
  command.add_option("OUT", raw.out, ".safetensors, or .npy where IN is one")->required();
  add_patterns(command, raw,
               "N:M for all tensors, or NAME=N:M for some; NAME may hold *, and the first that fits counts")
      ->required();
  add_search(command, raw, "");
}

void declare_prune(CLI::App& app, arguments& raw) {
  CLI::App& command = *app.add_subcommand("prune", "a pruned copy of a checkpoint");
  add_common(command, raw);
  command.add_option("OUT", raw.out, "the copy, a file or a folder as IN is")->required();
  add_patterns(command, raw, "as for mask; or a list of N:M, with {pattern} in OUT (16:32 becomes 16x32)")->required();
  command
      .add_option(
          "--method", raw.method,
          "magnitude: |w|; wanda: |w| times its input's norm; sparsegpt and alps, which also update what they keep "
          "and need a GPU")
      ->capture_default_str()
      ->check(CLI::IsMember({"magnitude", "wanda", "sparsegpt", "alps"}));
  command
      .add_option(
          "--structure", raw.structures,
          "transposable: N in every row and column, the best such mask; published: the same by the approximation of "
          "arXiv 2505.23949; row-wise: standard N:M; row-then-column: the best N of each row and of these the best "
          "N of each column; or a list, with {structure} in OUT [default: transposable]")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"transposable", "published", "row-wise", "row-then-column"}))
      ->type_name("STRUCTURE,...");
  command.add_option(
      "--gram", raw.gram,
      "checkpoint that holds, for each tensor to prune, an F32 tensor [inputs, inputs] of the same name: the "
      "sum of x x^T over the layer's inputs x. All methods but magnitude need it");
  add_transposed(command, raw);
  command.add_option("--tokens", raw.tokens, "tokens that the gram matrices sum over; matters for dead inputs alone")
      ->capture_default_str()
      ->check(CLI::Range(std::int64_t(1), std::int64_t(1) << 60));
  command.add_option("--iterations", raw.iterations, "of alps, at most")
      ->capture_default_str()
      ->check(CLI::Range(1, 100000));
  add_constraint(command, raw, "exactly; published at-most");
  add_edge(command, raw);
  add_select(command, raw);
  add_device(command, raw);
}

void declare_check(CLI::App& app, arguments& raw) {
  CLI::App& command = *app.add_subcommand("check", "whether the zeros of a checkpoint, or its masks, have a pattern");
  add_common(command, raw);
  add_patterns(command, raw, "as for mask")->required();
  command
      .add_option("--structure", raw.structures,
                  "transposable: rows and columns; row-wise: along the inputs alone [default: transposable]")
      ->check(CLI::IsMember({"transposable", "row-wise"}))
      ->type_name("STRUCTURE")
      ->expected(1);
  add_constraint(command, raw, "at-most");
  add_transposed(command, raw);
  add_edge(command, raw);
  add_select(command, raw);
}

void declare_apply(CLI::App& app, arguments& raw) {
  CLI::App& command = *app.add_subcommand("apply", "a copy of a checkpoint, pruned with masks");
  add_common(command, raw);
  command.add_option("MASKS", raw.masks, "what mask has written, or BOOL or U8 tensors of the same names and shapes")
      ->required();
  command.add_option("OUT", raw.out, "the copy, a file or a folder as IN is")->required();
}

}  // namespace

void declare_commands(CLI::App& app, arguments& raw) {
  app.require_subcommand(1);
  declare_inspect(app, raw);
  declare_mask(app, raw);
  declare_prune(app, raw);
  declare_check(app, raw);
  declare_apply(app, raw);
}

}  // namespace tool
