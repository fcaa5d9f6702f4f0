// Ends a machine (see machine.hpp): the next one sets its own macros.
#undef TSENOR_MACHINE
#undef TSENOR_FN
#undef TSENOR_STAGE
#undef TSENOR_APART
#undef TSENOR_ROLLED
#undef TSENOR_UNROLL
#undef TSENOR_UNROLL_PARTS
#undef TSENOR_VECTOR_LANES
