#!/usr/bin/env bash
# Times how long compilers take for tsenor's headers and a call of find_mask:
#   compile_time.sh [--repeats K] [--json FILE]
# Compilers: $CXX (g++) and $NVCC (nvcc; left out if missing). Seconds are the median of K (3) compilations, wall clock
# and processor time. "more" is the processor time of a row less that of the empty file.
set -euo pipefail

usage() { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }

repeats=3
json=
while [ $# -gt 0 ]; do
  case $1 in
    --repeats) repeats=${2:-}; shift ;;
    --json) json=${2:-}; shift ;;
    *) usage ;;
  esac
  shift || usage
done
[[ $repeats =~ ^[1-9][0-9]*$ ]] || usage

include=$(cd "$(dirname "$0")/../include" && pwd)
cxx=${CXX:-g++}
nvcc=${NVCC:-$(PATH=$PATH:/usr/local/cuda/bin command -v nvcc || true)}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cd "$folder"
: >empty.cpp
: >empty.cu
echo '#include "tsenor/find_mask.hpp"' >include.cpp
echo '#include "tsenor/find_mask.cuh"' >include.cu
call='tsenor::status solve(const float* weights, long side, unsigned char* mask) {'
{ cat include.cpp; echo "$call return tsenor::find_mask<8, 16>(tsenor::cpu_executor{}, weights, side, side, mask); }"; } >call.cpp
{ cat include.cu; echo "$call return tsenor::find_mask<8, 16>(weights, side, side, mask); }"; } >call.cu
# The pattern as a value: all lane widths, and all types of weights.
any='template <class T> tsenor::status solve(PLACE tsenor::pattern nm, const T* weights, tsenor::mask_outputs<T> out) {
  return tsenor::find_mask(HERE nm, tsenor::matrix_view<const T>(weights, 64, 64), out);
}'
types() { for type in "$@"; do
  echo "template tsenor::status solve(PLACE tsenor::pattern, const $type*, tsenor::mask_outputs<$type>);"
done; }
{ cat include.cpp; echo "$any"; types float double tsenor::{float16,bfloat16,float8_e4m3,float8_e5m2}; } |
  sed 's/PLACE/tsenor::cpu_executor,/; s/HERE/tsenor::cpu_executor{},/' >any.cpp
{ cat include.cu; echo "$any"; types float double __half __nv_bfloat16 __nv_fp8_e4m3 __nv_fp8_e5m2; } |
  sed 's/PLACE//; s/HERE//' >any.cu

# Prints "WALL CPU" for a command, both in seconds.
seconds() {
  local TIMEFORMAT='%R %U %S'
  { time "$@" >log 2>&1 || { cat log >&4; exit 1; }; } 2>&1 | awk '{ print $1, $2 + $3 }'
} 4>&2

# median FIELD <FILE
median() { sort -n -k"$1,$1" | awk -v field="$1" '{ v[NR] = $field } END { print v[int((NR + 1) / 2)] }'; }

rows=()
# measure NAME EMPTY_CPU COMMAND...; leaves the median processor time in $cpu
measure() {
  local name=$1 empty=$2 k wall
  shift 2
  for ((k = 0; k < repeats; k++)); do seconds "$@"; done >timings
  wall=$(median 1 <timings)
  cpu=$(median 2 <timings)
  rows+=("$name $wall $cpu $(awk -v a="$cpu" -v b="${empty:-$cpu}" 'BEGIN { printf "%.3f", a - b }')")
}

cpp=("$cxx" -std=c++17 -O2 -I"$include" -o out.o -c)
measure empty.cpp "" "${cpp[@]}" empty.cpp
empty=$cpu
measure include_find_mask.hpp "$empty" "${cpp[@]}" include.cpp
measure call_find_mask_8_16.cpp "$empty" "${cpp[@]}" call.cpp
measure six_types_any_pattern.cpp "$empty" "${cpp[@]}" any.cpp
if [ -n "$nvcc" ]; then
  cu=("$nvcc" -std=c++17 -O2 -arch=sm_90 -I"$include" -o out.o -c)
  measure empty.cu "" "${cu[@]}" empty.cu
  empty=$cpu
  measure include_find_mask.cuh "$empty" "${cu[@]}" include.cu
  measure call_find_mask_8_16.cu "$empty" "${cu[@]}" call.cu
  measure six_types_any_pattern.cu "$empty" "${cu[@]}" any.cu
fi

printf '%-26s %8s %8s %8s\n' compiled wall cpu more
for row in "${rows[@]}"; do
  read -r name wall cpu more <<<"$row"
  printf '%-26s %8.2f %8.2f %8.2f\n' "$name" "$wall" "$cpu" "$more"
done
[ -n "$json" ] || exit 0

cd "$OLDPWD"
version() { "$@" --version | grep -m1 -E '[0-9]+\.[0-9]+' | sed 's/"/\\"/g'; }
{
  printf '{"context": {"date": "%s", "cxx": "%s", "nvcc": "%s", "repeats": %d},\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
    "$(version "$cxx")" "$([ -z "$nvcc" ] || version "$nvcc")" "$repeats"
  printf ' "compilations": ['
  separator=
  for row in "${rows[@]}"; do
    read -r name wall cpu more <<<"$row"
    printf '%s\n  {"name": "%s", "wall_seconds": %.3f, "cpu_seconds": %.3f, "more_cpu_seconds": %.3f}' "$separator" "$name" \
      "$wall" "$cpu" "$more"
    separator=,
  done
  printf '\n ]}\n'
} >"$json"
