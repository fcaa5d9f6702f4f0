/// \file
/// The layers of a checkpoint with the gram matrices of their inputs.
#pragma once

#include <optional>

#include "checkpoint.hpp"
#include "commands.hpp"
#include "pruner.hpp"

namespace tool {

struct layer {
  layer_data data;              ///< [outputs, inputs]
  matrix stored;                ///< as in the file
  bool transposed;              ///< the file has [inputs, outputs]
  std::int64_t no_squares = 0;  ///< entries on the diagonal of the gram matrix that no sum of squares can be
};

/// Reads layers as pruners want them.
class layer_source {
 public:
  /// Both have to outlive it.
  layer_source(const checkpoint& in, const settings& s);

  /// The tensors that are pruned. Where gram matrices fit the other side of tensors, so that --transposed is missing,
  /// it throws failure(exit_code::input): square ones would be pruned on the wrong side.
  selection select(const pattern_rules& patterns, tsenor::edge edge, const settings& s) const;

  /// The `index`-th matrix of a tensor.
  layer read(const tensor_entry& t, const block& part, std::size_t index) const;

  /// Values `[outputs, inputs]` in the order of the file.
  template <class T>
  std::vector<T> stored_order(const layer& l, const std::vector<T>& values) const {
    return l.transposed ? transpose(values, l.data.rows, l.data.cols) : values;
  }

  void refuse_overlap_with_grams(const std::filesystem::path& out) const;

 private:
  template <class T>
  static std::vector<T> transpose(const std::vector<T>& values, std::int64_t rows, std::int64_t cols) {
    std::vector<T> result(values.size());
    for (std::int64_t i = 0; i < rows; ++i)
      for (std::int64_t j = 0; j < cols; ++j)
        result[static_cast<std::size_t>(j * rows + i)] = values[static_cast<std::size_t>(i * cols + j)];
    return result;
  }

  bool is_transposed(const tensor_entry& t) const;
  std::string objection(const tensor_entry& t, std::vector<std::string>& on_the_other_side) const;

  const checkpoint& in_;
  const settings& settings_;
  std::optional<checkpoint> grams_;
};

}  // namespace tool
