#!/usr/bin/env bash
# Everything of the pruners that needs a GPU, in one go and small: builds, tests, one layer's times beside PyTorch, and the
# experiment with a small budget. What is measured goes to FOLDER; a table comes last.
#
#     on_gpu.sh FOLDER
#
# Environment: PARTS (default "build test bench experiment"), TRAIN_SECONDS, PATTERNS, JOBS (prunings at once), KEEP_MODEL=1 for
# the checkpoint too.
# examples/language_model/corpus has to be there (corpus.py). Takes about five minutes on an H100 with 16 cores.
set -uo pipefail
out=$(realpath -m "${1:?give a folder for the results}")
parts=" ${PARTS:-build test bench experiment} "
cd "$(dirname "$0")/../.."
mkdir -p "$out"
export PATH="$PATH:/usr/local/cuda/bin"
build=build/prune work=build/prune/experiment
failed=""

note() { echo "$1: $2" | tee -a "$out/summary.txt"; }
step() {  # step NAME COMMAND...: its output into a file, its time and outcome into the summary
  local name=$1 start=$SECONDS
  shift
  if "$@" >"$out/$name.out" 2>"$out/$name.err"; then
    note "$name" "ok, $((SECONDS - start)) s"
  else
    note "$name" "FAILED, $((SECONDS - start)) s; $(tail -n 3 "$out/$name.err" "$out/$name.out" | tr '\n' ' ' | tail -c 400)"
    failed="$failed $name"
  fi
}
has() { [[ "$parts" == *" $1 "* ]]; }

if has build; then
  generator=()
  command -v ninja >/dev/null && generator=(-G Ninja)
  step configure cmake -S . -B "$build" "${generator[@]}" -DCMAKE_BUILD_TYPE=Release -DCMAKE_CUDA_ARCHITECTURES=90 \
    -DTSENOR_CUDA=ON -DTSENOR_TESTS=ON -DTSENOR_BENCH=ON -DTSENOR_EXAMPLES=ON
  step build cmake --build "$build" -j "$(nproc)" --target prune_test bench_prune_gpu tsenor
fi
if has test; then
  step test timeout 120 "$build/bin/prune_test" --gtest_brief=1 "--gtest_output=json:$out/test.json"
fi
if has bench; then
  step bench timeout 90 "$build/bin/bench_prune_gpu"
  step bench_torch timeout 90 python3 bench/prune_torch.py
fi
if has experiment; then
  step experiment timeout 420 python3 examples/language_model/run.py --corpus examples/language_model/corpus \
    --tool "$build/bin/tsenor" --work "$work" --stages train,gram,dense,grid,retrain \
    --train-seconds "${TRAIN_SECONDS:-90}" --patterns "${PATTERNS:-2:4,4:8,8:16,16:32,1:4,2:8,4:16,8:32}" --retrain-steps 150 \
    --test-bytes 500000 --jobs "${JOBS:-8}"
  cp "$work"/*.json "$work"/*.jsonl "$out" 2>/dev/null
  if [[ "${KEEP_MODEL:-0}" == 1 ]]; then cp "$work/model.safetensors" "$out"; fi
fi

echo
python3 - "$out" <<'TABLE'
import json, pathlib, sys
out = pathlib.Path(sys.argv[1])
def load(name):
    try:
        return json.loads((out / name).read_text())
    except Exception:
        return {}
def lines(name):
    try:
        return [json.loads(x) for x in (out / name).read_text().splitlines()]
    except Exception:
        return []
for name in ("bench.out", "bench_torch.out"):
    print(name, " ".join(f"{k}={v:.4g}" for k, v in load(name).items()))
print("dense", load("dense.json").get("perplexity"))
for r in lines("grid.jsonl"):
    error = "-" if r["error"] is None else f"{r['error']:.4f}"
    print(f"{r['method']:10} {r['pattern']:6} {r['structure']:16} ppl {r['perplexity']:.4f} ({r['low']:.4f}-{r['high']:.4f}) error {error} {r['seconds']:.2f} s")
for r in lines("retrain.jsonl"):
    print(f"retrained {r['name']:32} {r['before']['perplexity']:.4f} -> {r['after']['perplexity']:.4f}")
print((out / "summary.txt").read_text())
TABLE
[[ -z "$failed" ]]
