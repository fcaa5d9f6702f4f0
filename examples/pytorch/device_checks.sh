#!/usr/bin/env bash
# Builds the package for this machine's GPU, tests it, and measures: device_checks.sh FOLDER [arguments of bench.py]
# Logs, the JSON and the plots go into FOLDER, a short table is printed last. Works without a network; what Python lacks
# is taken from the wheels in the folder $WHEELS (pip download -d FOLDER pytest ninja setuptools wheel).
set -uo pipefail
cd "$(dirname "$0")"
folder=${1:?the folder for the results}; shift
mkdir -p "$folder/site"; folder=$(cd "$folder" && pwd)
python=${PYTHON:-python3}
export MAX_JOBS=${MAX_JOBS:-$(nproc)} TORCH_CUDA_ARCH_LIST=${TORCH_CUDA_ARCH_LIST:-9.0} TSENOR_TORCH_CUDA=1
export PYTHONPATH="$folder/site${PYTHONPATH:+:$PYTHONPATH}" PATH="$folder/site/bin:$PATH:/usr/local/cuda/bin"

offline=("$python" -m pip install --no-index --no-deps --quiet --target "$folder/site" --upgrade)
for package in pytest ninja setuptools wheel; do
  "$python" -c "import $package" 2>/dev/null && continue
  echo "missing: $package"
  [ "$package" = pytest ] && package="pytest pluggy iniconfig packaging pygments"
  # shellcheck disable=SC2086
  [ -d "${WHEELS:-}" ] && "${offline[@]}" --find-links "$WHEELS" $package
done

begin=$SECONDS
# Without --no-build-isolation pip would look for setuptools and torch on the network.
"$python" -m pip install --no-build-isolation --no-index --no-deps -v --target "$folder/site" . >"$folder/build.log" 2>&1
built=$?
echo "build: exit $built, $((SECONDS - begin)) s; needs: $(readelf -d "$folder"/site/tsenor_torch/_ops*.so 2>/dev/null |
  sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | tr '\n' ' ')"
if [ $built -ne 0 ]; then
  grep -n -m20 -iE "error|No module" "$folder/build.log" || tail -20 "$folder/build.log"
  exit 1
fi

begin=$SECONDS
timeout 300 "$python" bench.py --out "$folder" "$@" >"$folder/bench.log" 2>&1
echo "benchmark: exit $?, $((SECONDS - begin)) s"
grep -v Warning "$folder/bench.log" | tail -50 | cut -c1-220
if [ -f "$folder/linear24.json" ]; then
  "$python" report.py "$folder/linear24.json" --out "$folder" >"$folder/report.log" 2>&1 || echo "no report: see report.log"
fi

# A process for each file, so that a crash in one does not hide the others. What failed, and the test a crash was in,
# are printed last.
: >"$folder/tests.log"
summary=""
for file in tests/test_*.py; do
  name=$(basename "$file" .py) begin=$SECONDS
  log="$folder/$name.log"
  timeout 180 "$python" -X faulthandler -m pytest -v -p no:cacheprovider "$file" >"$log" 2>&1
  code=$?
  cat "$log" >>"$folder/tests.log"
  if [ $code -eq 0 ] || [ $code -eq 1 ]; then
    outcome=$(grep -E "(passed|failed|skipped|error).* in [0-9.]+s" "$log" | tail -1 | tr -d =)
  else
    # pytest prints a test's name before it runs, and its outcome after.
    last=$(grep -oE "[^ /]+\.py::.*" "$log" | grep -vE " (PASSED|FAILED|SKIPPED|ERROR)" | head -1 | cut -c1-120)
    outcome="ended with $code in $last, after $(grep -cE " PASSED" "$log") passed, $(grep -cE "::.* FAILED" "$log") failed"
  fi
  grep -E "::.* (FAILED|ERROR)|^E  " "$log" | cut -c1-200 | head -30
  summary+="tests: $name: $outcome ($((SECONDS - begin)) s)"$'\n'
done
printf '%s' "$summary"
