#!/usr/bin/env bash
# Measures the cost of choosing the instruction set at run time: dispatch_cost.sh BUILD_FOLDER
# Runs bench_find_mask_cpu and bench_find_mask_cpu_native in turn, three times each, on one core. Prints for each
# pattern the median milliseconds of both, and their ratio (above 1: the default build is slower).
set -euo pipefail

[ $# -eq 1 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
bin=$1/bin

# Lines "PROGRAM PATTERN MILLISECONDS", the median processor time of a call.
run() {
  "$bin/$1" --benchmark_filter='^optimal/one_core/' --benchmark_format=csv 2>/dev/null |
    awk -F, -v program="$1" '/_median"/ { split($1, part, "/"); print program, part[3], $4 }'
}

for _ in 1 2 3; do
  run bench_find_mask_cpu
  run bench_find_mask_cpu_native
done | sort -k2,2 -k1,1 -k3,3n | awk '
  BEGIN { printf "%-8s %10s %10s %8s\n", "pattern", "default", "native", "ratio" }
  { taken[$2 $1]++; if (taken[$2 $1] == 2) middle[$2, $1] = $3; patterns[$2] }
  END {
    for (p in patterns) {
      d = middle[p, "bench_find_mask_cpu"]; n = middle[p, "bench_find_mask_cpu_native"]
      printf "%-8s %10.2f %10.2f %8.3f\n", p, d, n, d / n
    }
  }'
