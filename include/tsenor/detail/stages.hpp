// What all machines have in common, over the lanes of one: the stages, and the pipelines over them (see
// lanes/machine.hpp).
#if !defined(TSENOR_MACHINE)
#include "tsenor/detail/cpu_machines.hpp"
#else

#include "tsenor/detail/stages/load.hpp"
#include "tsenor/detail/stages/dykstra.hpp"
#include "tsenor/detail/stages/round.hpp"
#include "tsenor/detail/stages/select.hpp"
#include "tsenor/detail/stages/sweep.hpp"
#include "tsenor/detail/stages/price.hpp"
#include "tsenor/detail/stages/equals.hpp"
#include "tsenor/detail/stages/take.hpp"
#include "tsenor/detail/stages/repair.hpp"
#include "tsenor/detail/stages/store.hpp"
#include "tsenor/detail/solve_tile.hpp"
#include "tsenor/detail/stages/tile4.hpp"
#include "tsenor/detail/stages/prove4.hpp"
#include "tsenor/detail/solve_tile4.hpp"

#endif
