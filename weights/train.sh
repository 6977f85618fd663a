#!/usr/bin/env bash
# Makes all weights from the data: trains, measures and packs one model after the other.
#
#   weights/train.sh DATA OUTPUT [MODEL…]
#
# DATA holds the sets pose/, people/, parsing/, person/ and camvid/, or packed sets NAME.tar. OUTPUT gets
# weights/ (float16 files and their manifest), runs/ (states, figures, sample pictures), and runs.tar.gz, the
# figures and pictures alone. A model that is done is not made again, one that was stopped goes on: call it again
# after an interruption. MODEL is one or more of: pose parsing camvid people (default: all, in this order; the
# last three start from a small pose model that is made before them). That is 26 minutes of training on one GPU.
#
#   SITTING=9   stop after so many minutes, keeping the state (default: none)
#   SHARE=0.1   this share of the minutes of every model (default: 1)
#   PYTHON=…    with hrformer and its train extra (default: .venv/bin/python)
#   FIELDS=…    further field=value changes of every recipe, for trials: FIELDS="steps=2 batch_size=2"
set -euo pipefail
cd "$(dirname "$0")/.."
[[ $# -ge 2 ]] || { sed -n '2,16s/^# \{0,1\}//p' weights/train.sh >&2; exit 2; }
data=$1 output=$2; shift 2
models=("${@:-}"); [[ -n ${models[0]} ]] || models=(pose parsing camvid people)
python=${PYTHON:-.venv/bin/python}
ends=$(($(date +%s) + ${SITTING:-100000} * 60))
read -ra fields <<< "${FIELDS:-}"
defaults=" hrformer-small-pose hrformer-tiny-parsing hrformer-tiny-people " # of their tasks
mkdir -p "$output/weights" "$output/sets"

set_of() { # the folder of a set, unpacked where it is packed
    [[ -d $data/$1 ]] && { echo "$data/$1"; return; }
    [[ -d $output/sets/$1 ]] || tar -xf "$data/$1.tar" -C "$output/sets"
    echo "$output/sets/$1"
}

make_model() { # NAME RECIPE MINUTES SETS [option or field=value…]
    local name=$1 recipe=$2 minutes=$3 sets=$4 run=$output/runs/$1; shift 4
    [[ -f $output/weights/$name.safetensors ]] && { echo "$name is there"; return; }
    local folders=() options=("$@") default=() first
    for set in $sets; do folders+=(--data "$(set_of "$set")"); done
    first=${folders[1]}
    [[ -f $run/state.pt ]] && options+=(--resume)
    minutes=$("$python" -c 'import sys; print(float(sys.argv[1]) * float(sys.argv[2]))' "$minutes" "${SHARE:-1}")
    timeout -s INT --foreground $((ends - $(date +%s) > 1 ? ends - $(date +%s) : 1)) \
        "$python" -m hrformer train "$recipe" "${folders[@]}" --output "$run" --minutes "$minutes" \
        "${options[@]}" "${fields[@]}"
    "$python" -m hrformer evaluate "$run/model.safetensors" --data "$first" --json > "$run/evaluation.json"
    [[ $defaults == *" $name "* ]] && default=(--default)
    "$python" -m hrformer convert "$run/model.safetensors" --name "$name" --output "$output/weights" --dtype float16 \
        "${default[@]}"
}

model() {
    local pose=$output/runs/hrformer-small-pose/model.safetensors tiny=$output/runs/hrformer-tiny-pose/model.safetensors
    case $1 in
    pose) make_model hrformer-small-pose small-pose 10 "pose people" ;;
    tiny-pose) make_model hrformer-tiny-pose tiny-pose 4 "pose people" batch_size=256 warmup_steps=300 ;;
    parsing) model tiny-pose; make_model hrformer-tiny-parsing tiny-parsing 4 "parsing person" --from "$tiny" batch_size=64 ;;
    camvid) model tiny-pose; make_model hrformer-tiny-camvid tiny-camvid 3 "camvid" --from "$tiny" batch_size=32 ;;
    people) model tiny-pose; make_model hrformer-tiny-people tiny-people 5 "people" --from "$tiny" batch_size=64 ;;
    *) echo "there is no model '$1'; expected pose, tiny-pose, parsing, camvid or people" >&2; exit 2 ;;
    esac
}

pack() { # figures and pictures, whatever happened
    find "$output/runs" -name '*.jsonl' -o -name '*.json' -o -name '*.jpg' 2>/dev/null \
        | tar -czf "$output/runs.tar.gz" -T - 2>/dev/null || true
}
trap pack EXIT
for name in "${models[@]}"; do model "$name"; done
