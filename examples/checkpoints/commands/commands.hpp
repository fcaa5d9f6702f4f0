/// \file
/// The five commands. Each prints its report, ends it with what stayed dense, and throws failure.
#pragma once

#include "checkpoint.hpp"
#include "failure.hpp"
#include "selection.hpp"
#include "settings.hpp"

namespace tool {

exit_code inspect(const settings& s);
exit_code mask(const settings& s);
exit_code prune(const settings& s);
exit_code check(const settings& s);
exit_code apply(const settings& s);

/// The rule of selection for a checkpoint, as the settings have it.
selection_rule rule_for(const checkpoint& in, const pattern_rules& patterns, tsenor::edge edge, const settings& s);

/// The number of weights of the chosen tensors.
std::uint64_t weights_of(const std::vector<selected_tensor>& chosen);

}  // namespace tool
