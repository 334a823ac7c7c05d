#!/bin/sh
# Plain exports of Hugging Face models: compiled with each scheme, they compute what PyTorch does, at a length
# that the export did not see.
. "$QVK_SOURCE/tests/cli/cli_checks.sh"
folder=$QVK_SOURCE/tests/golden/hugging_face
# Sums in another order; a value that lies between two steps of int8 may then be rounded the other way.
tolerance=0.002

# compiled MODEL SCHEME FILE: --group-size is only for 4-bit weights
compiled() {
    case $2 in
    float) "$qvk" lower "$folder/$1.pt2" -o "$3" ;;
    *4w) "$qvk" compile "$folder/$1.pt2" --scheme "$2" --group-size 16 -o "$3" ;;
    *) "$qvk" compile "$folder/$1.pt2" --scheme "$2" -o "$3" ;;
    esac
}

# computes MODEL SCHEME INPUT...
computes() {
    model=$1 scheme=$2 file=$work/$1_$2.pte
    shift 2
    check "$model, $scheme: compiles" compiled "$model" "$scheme" "$file"
    for device in cpu 0; do
        check "$model, $scheme: gives PyTorch's output on device $device" status 0 "$qvk" run "$file" "$@" \
            --expect "$folder/$model.$scheme.npy" --tolerance $tolerance --device $device
    done
}

for scheme in float 4w 8w 8da4w 8da8w; do
    computes llama $scheme --input "$folder/llama.in_0.npy"
done
for scheme in float 8da4w; do
    computes gpt2 $scheme --input "$folder/gpt2.in_0.npy"
done
for scheme in float 8da8w; do
    computes bert $scheme --input "$folder/bert.in_0.npy" --input "$folder/bert.in_1.npy"
done

# use_cache=False was an argument of the export: it has its value, and no other.
check "an argument that the export fixed needs no file" status 0 \
    "$qvk" run "$work/llama_float.pte" --input "$folder/llama.in_0.npy" --device cpu
check "the tensors still do" status 1 "$qvk" run "$work/llama_float.pte" --device cpu
finish
