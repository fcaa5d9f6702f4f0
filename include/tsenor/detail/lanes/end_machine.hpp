// Ends a machine (see machine.hpp): the next one sets its own macros and includes the same files again.
#undef TSENOR_PACK_LANES
#undef TSENOR_CPU_LANES
#undef TSENOR_CUDA_LANES
#undef TSENOR_LOAD_STAGE
#undef TSENOR_DYKSTRA_STAGE
#undef TSENOR_ROUND_STAGE
#undef TSENOR_STORE_STAGE
#undef TSENOR_SOLVE_TILE
#undef TSENOR_RUN_TILES
#undef TSENOR_MACHINE
#undef TSENOR_FN
#undef TSENOR_STAGE
#undef TSENOR_UNROLL
#undef TSENOR_UNROLL_PARTS
#undef TSENOR_VECTOR_LANES
