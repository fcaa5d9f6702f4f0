#include <limits>

#include "arguments.hpp"

namespace tool {
namespace {

constexpr int max_threads = 1024;

constexpr const char* what_in =
    "a .safetensors file, a folder with a model, its model.safetensors.index.json, or an .npy matrix";

constexpr const char* what_pattern =
    "N:M for all tensors, or NAME=N:M for some; NAME may contain *, and the first NAME that matches counts";

void add_common(CLI::App& command, arguments& raw) {
  command.add_option("IN", raw.in, what_in)->required();
  command.add_option("--threads", raw.threads, "number of CPU threads; 0 means one for each hardware thread")
      ->capture_default_str()
      ->check(CLI::Range(0, max_threads))
      ->type_name("K");
  command.add_flag("--json", raw.json, "print one JSON object per line instead of a table");
}

void add_select(CLI::App& command, arguments& raw) {
  command
      .add_option(
          "--select", raw.select,
          "take the tensors whose names match this regular expression, also in part [default: all weights except "
          "embeddings, heads, routers and the like, which the report lists]")
      ->type_name("REGEX");
}

CLI::Option* add_patterns(CLI::App& command, arguments& raw, const std::string& help) {
  return command.add_option("--pattern", raw.patterns, help)
      ->delimiter(',')
      ->allow_extra_args(false)  // files may follow it
      ->type_name("[NAME=]N:M,...");
}

void add_edge(CLI::App& command, arguments& raw) {
  command
      .add_option("--edge", raw.edge,
                  "for a matrix with a side that is no multiple of M: reject leaves it out, partial uses smaller tiles "
                  "at the edge")
      ->capture_default_str()
      ->check(CLI::IsMember({"reject", "partial"}));
}

void add_constraint(CLI::App& command, arguments& raw, const std::string& by_default) {
  command
      .add_option(
          "--constraint", raw.constraint,
          "exactly keeps N weights in each row and column, at-most keeps N or fewer [default: " + by_default + "]")
      ->check(CLI::IsMember({"exactly", "at-most"}));
}

void add_device(CLI::App& command, arguments& raw) {
  command.add_option("--device", raw.device, "auto uses CUDA if there is a device, else the CPU")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
}

void add_transposed(CLI::App& command, arguments& raw) {
  command
      .add_option("--transposed", raw.transposed,
                  "tensors whose names match this regular expression are stored [inputs, outputs], as in GPT-2")
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
  add_constraint(command, raw, "exactly; at-most for --method published");
  command.add_option("--importance", raw.importance, "of a weight w: magnitude is |w|, squared is w^2")
      ->capture_default_str()
      ->check(CLI::IsMember({"magnitude", "squared"}));
  add_edge(command, raw);
  add_select(command, raw);
  add_device(command, raw);
}

void declare_inspect(CLI::App& app, arguments& raw) {
  CLI::App& command = *app.add_subcommand("inspect", "list the tensors of a checkpoint, or what masks would keep");
  add_common(command, raw);
  CLI::Option* const pattern =
      add_patterns(command, raw, "patterns to try, such as 4:8,8:16 [default: only list the tensors]");
  add_search(command, raw, "; or both: optimal,published");
  CLI::Option* const svg =
      command
          .add_option("--svg", raw.svg,
                      "draw one tile of one matrix into this file: its importances, the published method's entropic "
                      "plan with its sums, and the mask with the number of weights kept in each row and column")
          ->type_name("FILE")
          ->needs(pattern);
  command.add_option("--tile", raw.tile, "the tile to draw; tiles are counted from 0 [default: 0,0]")
      ->delimiter(',')
      ->expected(2)
      ->check(CLI::Range(std::int64_t(0), std::numeric_limits<std::int64_t>::max()))
      ->type_name("ROW,COL")
      ->needs(svg);
}

void declare_mask(CLI::App& app, arguments& raw) {
  CLI::App& command =
      *app.add_subcommand("mask", "write masks to a file: BOOL tensors with the weights' names, or a uint8 .npy");
  add_common(command, raw);
  command.add_option("OUT", raw.out, "the file for the masks: .safetensors, or .npy if IN is .npy")->required();
  add_patterns(command, raw, what_pattern)->required();
  add_search(command, raw, "");
}

void declare_prune(CLI::App& app, arguments& raw) {
  CLI::App& command = *app.add_subcommand("prune", "write a pruned copy of a checkpoint");
  add_common(command, raw);
  command.add_option("OUT", raw.out, "the copy: a file or a folder, like IN")->required();
  add_patterns(command, raw,
               std::string(what_pattern) + "; or a list of N:M, if OUT contains {pattern} (16:32 becomes 16x32)")
      ->required();
  command
      .add_option(
          "--method", raw.method,
          "magnitude: |w|; wanda: |w| times the norm of its input; sparsegpt and alps also update the kept weights, "
          "and need a GPU")
      ->capture_default_str()
      ->check(CLI::IsMember({"magnitude", "wanda", "sparsegpt", "alps"}));
  command
      .add_option(
          "--structure", raw.structures,
          "transposable: the best mask with N in every row and column; published: such a mask by the approximation of "
          "arXiv 2505.23949; row-wise: standard N:M; row-then-column: the best N of each row, then of these the best "
          "N of each column; or a list, if OUT contains {structure} [default: transposable]")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"transposable", "published", "row-wise", "row-then-column"}))
      ->type_name("STRUCTURE,...");
  command.add_option(
      "--gram", raw.gram,
      "checkpoint with gram matrices: for each tensor to prune an F32 tensor [inputs, inputs] of the same name, the "
      "sum of x x^T over the layer's inputs x. All methods except magnitude need it");
  add_transposed(command, raw);
  command
      .add_option("--tokens", raw.tokens, "number of tokens in the gram matrices' sums; matters only for dead inputs")
      ->capture_default_str()
      ->check(CLI::Range(std::int64_t(1), std::int64_t(1) << 60));
  command.add_option("--iterations", raw.iterations, "limit for the iterations of alps")
      ->capture_default_str()
      ->check(CLI::Range(1, 100000));
  add_constraint(command, raw, "exactly; at-most for --structure published");
  add_edge(command, raw);
  add_select(command, raw);
  add_device(command, raw);
}

void declare_check(CLI::App& app, arguments& raw) {
  CLI::App& command = *app.add_subcommand("check", "check that the zeros of a checkpoint, or masks, have a pattern");
  add_common(command, raw);
  add_patterns(command, raw, what_pattern)->required();
  command
      .add_option("--structure", raw.structures,
                  "transposable: in rows and columns; row-wise: only along the inputs [default: transposable]")
      ->check(CLI::IsMember({"transposable", "row-wise"}))
      ->type_name("STRUCTURE")
      ->expected(1);
  add_constraint(command, raw, "at-most");
  add_transposed(command, raw);
  add_edge(command, raw);
  add_select(command, raw);
}

void declare_apply(CLI::App& app, arguments& raw) {
  CLI::App& command = *app.add_subcommand("apply", "write a copy of a checkpoint, pruned with masks");
  add_common(command, raw);
  command
      .add_option("MASKS", raw.masks,
                  "the file that tsenor mask wrote, or BOOL or U8 tensors with the weights' names and shapes")
      ->required();
  command.add_option("OUT", raw.out, "the copy: a file or a folder, like IN")->required();
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
