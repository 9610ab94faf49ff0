#!/usr/bin/env python3
"""A Qwen3-VL model of any size with random weights: what it says is noise, what it costs is real.

    python3 bench/random_model.py --shape 2b /tmp/random-2b
    build/release/bin/escribano describe --model /tmp/random-2b frame.png

Writes a folder in Hugging Face's layout, which Escribano imports like any other (docs/models.md). Time and memory of a
model depend on its shape and not on its values, so the shape of a model that is not on the machine can be measured.
With a small vocabulary its answers come round to where they were after some hundred tokens.
The tokenizer is the demo model's, filled up to the size of the vocabulary with words that no text is cut into.

Python's standard library only. The same options and seed give the same bytes.
"""
import argparse
import array
import json
import math
import pathlib
import random
import struct
import sys

DEMO_MODEL = pathlib.Path(__file__).resolve().parent.parent / "assets" / "demo-model"

# Qwen3-VL-2B-Instruct's config.json; the demo model's; and one for tests.
SHAPES = {
    "2b": dict(layers=28, hidden=2048, heads=16, kv_heads=8, head_dim=128, intermediate=6144, vocab=151936,
               rope_theta=5e6, context=262144, tied=True, vision_layers=24, vision_hidden=1024, vision_heads=16,
               vision_intermediate=4096, deepstack=[5, 11, 17], max_pixels=16777216),
    "demo": dict(layers=8, hidden=256, heads=4, kv_heads=2, head_dim=64, intermediate=768, vocab=3072, rope_theta=5e5,
                 context=8192, tied=True, vision_layers=6, vision_hidden=192, vision_heads=3, vision_intermediate=768,
                 deepstack=[1, 3], max_pixels=262144),
    "tiny": dict(layers=2, hidden=64, heads=2, kv_heads=1, head_dim=32, intermediate=128, vocab=4096, rope_theta=5e5,
                 context=4096, tied=True, vision_layers=2, vision_hidden=64, vision_heads=2, vision_intermediate=128,
                 deepstack=[0], max_pixels=65536),
}
PATCH, TEMPORAL, MERGE, POSITIONS = 16, 2, 2, 2304
MIN_PIXELS = 65536
SCALE = 0.02               # standard deviation of a weight at a width of 2048; by it sums neither fade nor grow
# What attention adds is an average, much the same at every position. At full strength it soon drowns what the positions
# differ by, and the model writes one token for ever; so that it writes on, attention says less.
ATTENTION_SHARE = 1 / 16
BLOCK_WEIGHTS = 2_097_143  # weights drawn; a prime, so that no two rows of a matrix begin at the same one
SHARD_BYTES = 2_000_000_000


def config_json(shape):
    half = shape["head_dim"] // 2
    side = half * 20 // 64  # 24, 20, 20 of Qwen3-VL's 64
    control = control_ids(shape["vocab"])
    rope = {"rope_type": "default", "mrope_section": [half - 2 * side, side, side], "mrope_interleaved": True}
    return {
        "architectures": ["Qwen3VLForConditionalGeneration"], "model_type": "qwen3_vl", "dtype": "bfloat16",
        "tie_word_embeddings": shape["tied"],
        "image_token_id": control["<|image_pad|>"], "video_token_id": control["<|video_pad|>"],
        "vision_start_token_id": control["<|vision_start|>"], "vision_end_token_id": control["<|vision_end|>"],
        "text_config": {
            "model_type": "qwen3_vl_text", "vocab_size": shape["vocab"], "hidden_size": shape["hidden"],
            "intermediate_size": shape["intermediate"], "num_hidden_layers": shape["layers"],
            "num_attention_heads": shape["heads"], "num_key_value_heads": shape["kv_heads"],
            "head_dim": shape["head_dim"], "hidden_act": "silu", "max_position_embeddings": shape["context"],
            "rms_norm_eps": 1e-6, "rope_theta": shape["rope_theta"], "rope_scaling": rope, "attention_bias": False,
            "tie_word_embeddings": shape["tied"], "eos_token_id": control["<|im_end|>"],
            "pad_token_id": control["<|endoftext|>"], "dtype": "bfloat16"},
        "vision_config": {
            "model_type": "qwen3_vl", "depth": shape["vision_layers"], "hidden_size": shape["vision_hidden"],
            "num_heads": shape["vision_heads"], "intermediate_size": shape["vision_intermediate"],
            "hidden_act": "gelu_pytorch_tanh", "in_channels": 3, "patch_size": PATCH, "temporal_patch_size": TEMPORAL,
            "spatial_merge_size": MERGE, "out_hidden_size": shape["hidden"], "num_position_embeddings": POSITIONS,
            "deepstack_visual_indexes": shape["deepstack"]}}


def preprocessor_json(shape):
    demo = json.loads((DEMO_MODEL / "preprocessor_config.json").read_text())
    limits = {"min_pixels": MIN_PIXELS, "max_pixels": shape["max_pixels"]}
    return {**demo, **limits, "size": {"shortest_edge": MIN_PIXELS, "longest_edge": shape["max_pixels"]}}


def demo_tokenizer():
    return json.loads((DEMO_MODEL / "tokenizer.json").read_text())


def control_ids(vocab):
    """The control tokens of the chat format are the last of the vocabulary."""
    names = [token["content"] for token in demo_tokenizer()["added_tokens"]]
    return {name: vocab - len(names) + i for i, name in enumerate(names)}


def letters(number):
    text = ""
    while True:
        number, digit = divmod(number, 26)
        text = chr(ord("a") + digit) + text
        if number == 0:
            return text


def tokenizer_json(vocab):
    tokenizer = demo_tokenizer()
    control = control_ids(vocab)
    base = tokenizer["model"]["vocab"]
    if len(base) + len(control) > vocab:
        sys.exit(f"random_model.py: the vocabulary has at least {len(base) + len(control)} tokens")
    word = 0
    while len(base) + len(control) < vocab:
        text = "\u0120" + letters(word)  # a space and a word, byte-level
        word += 1
        base.setdefault(text, len(base))
    for token in tokenizer["added_tokens"]:
        token["id"] = control[token["content"]]
    return tokenizer


def tokenizer_config_json(shape):
    config = json.loads((DEMO_MODEL / "tokenizer_config.json").read_text())
    old = config.pop("added_tokens_decoder").values()
    control = control_ids(shape["vocab"])
    return {**config, "model_max_length": shape["context"],
            "added_tokens_decoder": {str(control[token["content"]]): token for token in old}}


def vision_tensors(shape):
    width, hidden = shape["vision_hidden"], shape["hidden"]
    merged = width * MERGE * MERGE

    def linear(name, rows, columns):
        return [(name + ".weight", [rows, columns]), (name + ".bias", [rows])]

    def norm(name, size):
        return [(name + ".weight", [size]), (name + ".bias", [size])]

    def merger(name, norm_size):
        return norm(name + ".norm", norm_size) + linear(name + ".linear_fc1", merged, merged) + linear(
            name + ".linear_fc2", hidden, merged)

    out = [("patch_embed.proj.weight", [width, 3, TEMPORAL, PATCH, PATCH]), ("patch_embed.proj.bias", [width]),
           ("pos_embed.weight", [POSITIONS, width])]
    for i in range(shape["vision_layers"]):
        block = f"blocks.{i}."
        out += norm(block + "norm1", width) + norm(block + "norm2", width)
        out += linear(block + "attn.qkv", 3 * width, width) + linear(block + "attn.proj", width, width)
        out += linear(block + "mlp.linear_fc1", shape["vision_intermediate"], width)
        out += linear(block + "mlp.linear_fc2", width, shape["vision_intermediate"])
    out += merger("merger", width)
    for i in range(len(shape["deepstack"])):
        out += merger(f"deepstack_merger_list.{i}", merged)
    return [("model.visual." + name, dims) for name, dims in out]


def text_tensors(shape):
    hidden, query, key = shape["hidden"], shape["heads"] * shape["head_dim"], shape["kv_heads"] * shape["head_dim"]
    out = [("embed_tokens.weight", [shape["vocab"], hidden]), ("norm.weight", [hidden])]
    for i in range(shape["layers"]):
        layer = f"layers.{i}."
        out += [(layer + "input_layernorm.weight", [hidden]), (layer + "post_attention_layernorm.weight", [hidden]),
                (layer + "self_attn.q_norm.weight", [shape["head_dim"]]),
                (layer + "self_attn.k_norm.weight", [shape["head_dim"]]),
                (layer + "self_attn.q_proj.weight", [query, hidden]),
                (layer + "self_attn.k_proj.weight", [key, hidden]),
                (layer + "self_attn.v_proj.weight", [key, hidden]),
                (layer + "self_attn.o_proj.weight", [hidden, query]),
                (layer + "mlp.gate_proj.weight", [shape["intermediate"], hidden]),
                (layer + "mlp.up_proj.weight", [shape["intermediate"], hidden]),
                (layer + "mlp.down_proj.weight", [hidden, shape["intermediate"]])]
    out = [("model.language_model." + name, dims) for name, dims in out]
    return out if shape["tied"] else out + [("lm_head.weight", [shape["vocab"], hidden])]


def bf16(values):
    """Their upper halves as floats: bf16, rounded towards zero."""
    floats = array.array("f", values)
    if sys.byteorder == "big":
        floats.byteswap()
    whole = floats.tobytes()
    out = bytearray(len(whole) // 2)
    out[0::2], out[1::2] = whole[2::4], whole[3::4]
    return bytes(out)


class Weights:
    """Bytes of tensors. Normal numbers are drawn once; every tensor reads them in a circle from a place of its own."""

    def __init__(self, hidden, seed):
        self._random = random.Random(seed)
        scale = SCALE * math.sqrt(2048 / hidden)
        block = [self._random.gauss(0, 1) for _ in range(BLOCK_WEIGHTS)]
        self._block = bf16([scale * value for value in block])
        self._attention_block = bf16([ATTENTION_SHARE * scale * value for value in block])

    def write(self, out, name, dims):
        left = 2 * math.prod(dims)
        if "norm" in name and name.endswith(".weight"):
            out.write(bf16([1.0]) * (left // 2))
            return
        at = 2 * self._random.randrange(BLOCK_WEIGHTS)
        is_attention = name.endswith(("attn.proj.weight", "self_attn.o_proj.weight"))
        view = memoryview(self._attention_block if is_attention else self._block)
        while left > 0:
            piece = view[at:at + left]
            out.write(piece)
            left -= len(piece)
            at = 0


def shards_of(tensors):
    shards, size = [[]], 0
    for name, dims in tensors:
        tensor_bytes = 2 * math.prod(dims)
        if shards[-1] and size + tensor_bytes > SHARD_BYTES:
            shards.append([])
            size = 0
        shards[-1].append((name, dims))
        size += tensor_bytes
    return shards


def write_weights(folder, tensors, weights):
    shards, weight_map, total = shards_of(tensors), {}, 0
    for number, shard in enumerate(shards, 1):
        file_name = "model.safetensors" if len(shards) == 1 else f"model-{number:05}-of-{len(shards):05}.safetensors"
        header, at = {"__metadata__": {"format": "pt"}}, 0
        for name, dims in shard:
            size = 2 * math.prod(dims)
            header[name] = {"dtype": "BF16", "shape": dims, "data_offsets": [at, at + size]}
            weight_map[name] = file_name
            at += size
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with open(folder / file_name, "wb") as out:
            out.write(struct.pack("<Q", len(text)) + text)
            for name, dims in shard:
                weights.write(out, name, dims)
        total += at
    if len(shards) > 1:
        index = {"metadata": {"total_size": total}, "weight_map": weight_map}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1))
    return total


def write_model(folder, shape, seed):
    """Makes the folder and returns the bytes of its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    control = control_ids(shape["vocab"])
    generation = {"do_sample": False, "eos_token_id": [control["<|im_end|>"], control["<|endoftext|>"]],
                  "pad_token_id": control["<|endoftext|>"]}
    for name, content in [("config.json", config_json(shape)), ("preprocessor_config.json", preprocessor_json(shape)),
                          ("generation_config.json", generation), ("tokenizer.json", tokenizer_json(shape["vocab"])),
                          ("tokenizer_config.json", tokenizer_config_json(shape))]:
        (folder / name).write_text(json.dumps(content, indent=1))
    return write_weights(folder, vision_tensors(shape) + text_tensors(shape), Weights(shape["hidden"], seed))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, help="to write; files of the same names in it are replaced")
    parser.add_argument("--shape", choices=SHAPES, default="2b", help="what the options below start from (2b)")
    parser.add_argument("--seed", type=int, default=1)
    for name, value in SHAPES["2b"].items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            parser.add_argument("--" + name.replace("_", "-"), type=type(value))
    parser.add_argument("--tied", action=argparse.BooleanOptionalAction, help="one matrix for tokens in and out")
    parser.add_argument("--deepstack", type=int, nargs="*", metavar="LAYER")
    arguments = vars(parser.parse_args())
    shape = {**SHAPES[arguments["shape"]],
             **{key: value for key, value in arguments.items() if key in SHAPES["2b"] and value is not None}}
    size = write_model(arguments["folder"], shape, arguments["seed"])
    print(f"{arguments['folder']}: {size / 2e6:.1f} million weights, {size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
