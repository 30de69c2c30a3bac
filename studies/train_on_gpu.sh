#!/usr/bin/env bash
# Trains the network of the preset `large` on a GPU for so many minutes and puts weights, curve and calibration into OUT.
#
#     LABELS=folder/of/label/maps studies/train_on_gpu.sh MINUTES OUT
#
# Called again it goes on: from the last checkpoint where a call was cut off (WORK is still there), else from the weights
# in OUT, on other scans. Scans and checkpoints lie in WORK (default: OUT.work), which may be thrown away; no file in OUT
# is larger than 15 MB. DEVICE and PRESET try it elsewhere: DEVICE=cpu PRESET=test takes a minute.
set -euo pipefail

if [ $# -ne 2 ]; then
    echo "usage: LABELS=FOLDER $0 MINUTES OUT" >&2
    exit 2
fi
minutes=$1
out=$2
labels=${LABELS:?"wanted LABELS, a folder of whole-head label maps (.nii.gz)"}
device=${DEVICE:-cuda}
preset=${PRESET:-large}
work=${WORK:-$out.work}

mkdir -p "$out" "$work"
if [ -e "$work/training/checkpoints/last.ckpt" ]; then
    round=$(cat "$work/round")
    from=(--resume)
    if [ -e "$work/before" ]; then from+=(--start "$work/before"); fi
elif [ -e "$out/config.json" ]; then
    round=$(($(cat "$out/round") + 1))
    rm -rf "$work/before"
    mkdir "$work/before"
    cp "$out/config.json" "$out/weights.safetensors" "$out/model_card.md" "$work/before/"
    from=(--start "$work/before")
else
    round=1
    from=()
fi
echo "$round" >"$work/round"

flairline fit synthetic_unet "$labels"/*.nii.gz -o "$work" --preset "$preset" --device "$device" \
    --max-minutes "$minutes" --seed "$((60 + round))" ${from[@]+"${from[@]}"}

cp "$work/weights.safetensors" "$work/config.json" "$work/model_card.md" "$work/round" "$out/"
cp "$work/training/curve.json" "$out/"
rm -f "$work/training/checkpoints/"*.ckpt # this round is done: the next one begins from its weights
large=$(find "$out" -size +15000k)
if [ -n "$large" ]; then
    echo "larger than 15 MB: $large" >&2
    exit 1
fi
