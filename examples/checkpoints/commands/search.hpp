/// \file
/// Masks for the tensors of a checkpoint, what `inspect` and `mask` have in common.
#pragma once

#include <functional>

#include "commands.hpp"
#include "progress.hpp"
#include "results.hpp"
#include "solver.hpp"

namespace tool {

std::unique_ptr<solver> make_solver(device_choice choice);

/// What is done with the mask of a block.
using mask_sink = std::function<void(const selected_tensor&, const block&, const solution&)>;

/// Searches a tensor block by block, which gives the same masks as the whole.
result search_tensor(const checkpoint& in, const selected_tensor& t, const tsenor::options& options, solver& machine,
                     const settings& s, progress_bar& progress, const mask_sink& sink);

}  // namespace tool
