#!/usr/bin/env bash
# Prints the registers, stack, spills and shared memory of each kernel for float weights, from the compiler's report.
#     bench/registers.sh [ARCHITECTURE]        (default sm_90)
set -euo pipefail
cd "$(dirname "$0")/.."
source=$(mktemp --suffix=.cu)
trap 'rm -f "$source"' EXIT
nvcc --version | tail -n 1
for width in 8 16 32 64; do
  for kind in published optimal optimal_plain; do
    cat >"$source" <<SOURCE
#include "tsenor/find_mask.cuh"
using namespace tsenor::detail;
template __global__ void tsenor::detail::find_mask_kernel<work::$kind, $width, float, tsenor::magnitude>(
    problem<float, tsenor::magnitude>);
SOURCE
    report=$(nvcc -std=c++17 -O3 -arch="${1:-sm_90}" -I include -Xptxas -v -cubin -o /dev/null "$source" 2>&1)
    echo "width $width, $kind: $(grep -E 'spill|Used' <<<"$report" | sed 's/ptxas info *: //' | tr '\n' ';' | tr -s ' ')"
  done
done
