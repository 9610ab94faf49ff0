"""Golden data of Qwen2.5-VL: what transformers computes in float32 for two small models with made-up weights.

    python3 qwen2_5_vl.py > qwen2_5_vl.json     (needs torch, torchvision, transformers; made with 5.23)

The weights follow from their names (see weights()), so the file holds only names and shapes, as transformers saves them,
the configuration, the features of one picture, and the logits behind it.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2VLImageProcessor

VOCABULARY = 320
VISION_START, VISION_END, IMAGE_PAD, VIDEO_PAD = 259, 260, 262, 263
# Window and whole layers in turn, more columns than rows, a head of its own; and the other way round. Neither grid is a
# multiple of a window (4 x 4 tokens), both are larger than one. And a tower without windows.
CASES = {
    "wide": {"depth": 4, "fullatt_block_indexes": [1, 3], "columns": 7, "rows": 5, "tied": False},
    "tall": {"depth": 3, "fullatt_block_indexes": [2], "columns": 6, "rows": 9, "tied": True},
    "whole": {"depth": 2, "fullatt_block_indexes": [0, 1], "columns": 5, "rows": 4, "tied": True},
}
BEFORE = [257, 117, 10, VISION_START]
AFTER = [VISION_END, 87, 104, 97, 116, 258, 10]


def mixed(numbers):
    """SplitMix64's finalizer."""
    z = numbers
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def weights(name, shape):
    """Numbers of eight significant bits, which every 16-bit type holds, about as large as a trained model's."""
    seed = 0xCBF29CE484222325  # FNV-1a
    for byte in name.encode():
        seed = (seed ^ byte) * 0x100000001B3 % 2**64
    with np.errstate(over="ignore"):
        steps = np.arange(1, np.prod(shape) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        integers = (mixed(steps + np.uint64(seed)) >> np.uint64(56)).astype(np.int64) - 128
    if len(shape) == 1:
        values = 1 + integers // 4 / 128 if "norm" in name or "ln_q" in name else integers / 512
    else:
        values = integers / 2.0 ** (6 + int(np.prod(shape[1:])).bit_length() // 2)
    return values.astype(np.float32).reshape(shape)


def picture(width, height):
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    return ((x * 7 + y * 13 + c * 50 + x // 20 * (y // 15) * 29) % 256).astype(np.uint8)


def config_of(case):
    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": VOCABULARY, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512, "rms_norm_eps": 1e-6,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]},
            "bos_token_id": 256, "eos_token_id": 258, "tie_word_embeddings": case["tied"],
        },
        vision_config={
            "depth": case["depth"], "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 64,
            "fullatt_block_indexes": case["fullatt_block_indexes"],
        },
        tie_word_embeddings=case["tied"], image_token_id=IMAGE_PAD, video_token_id=VIDEO_PAD,
        vision_start_token_id=VISION_START, vision_end_token_id=VISION_END,
    )


def made(folder, config):
    """A model whose folder transformers has written, with weights() in place of its own."""
    Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder)
    path = Path(folder) / "model.safetensors"
    with safe_open(path, "np") as file:
        shapes = {name: list(file.get_slice(name).get_shape()) for name in sorted(file.keys())}
    save_file({name: weights(name, shape) for name, shape in shapes.items()}, path, {"format": "pt"})
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    return model.eval(), shapes, json.loads((Path(folder) / "config.json").read_text())


def rounded(values):
    return [float(f"{value:.6g}") for value in values.flatten().tolist()]


def result_of(name, case):
    with tempfile.TemporaryDirectory() as folder:
        model, shapes, config = made(folder, config_of(case))
    tokens = case["columns"] * case["rows"]
    image = picture(28 * case["columns"], 28 * case["rows"])
    inputs = Qwen2VLImageProcessor(min_pixels=784, max_pixels=10**7)(Image.fromarray(image), return_tensors="pt")
    assert inputs["image_grid_thw"].tolist() == [[1, 2 * case["rows"], 2 * case["columns"]]]
    ids = torch.tensor([BEFORE + [IMAGE_PAD] * tokens + AFTER])
    features = []
    model.model.visual.merger.register_forward_hook(lambda module, given, output: features.append(output))
    with torch.no_grad():
        types = (ids == IMAGE_PAD).long()
        positions, _ = model.model.get_rope_index(ids, types, image_grid_thw=inputs["image_grid_thw"])
        output = model(input_ids=ids, mm_token_type_ids=types, position_ids=positions, **inputs)
        in_order = model.model.get_image_features(inputs["pixel_values"], inputs["image_grid_thw"])
    in_order = in_order.pooler_output if hasattr(in_order, "pooler_output") else in_order
    in_order = torch.cat(list(in_order))
    assert sorted(features[0].sum(1).tolist()) == sorted(in_order.sum(1).tolist())  # windows are put back
    return {
        "name": name, "columns": case["columns"], "rows": case["rows"], "before": BEFORE, "after": AFTER,
        "last_position": positions[:, 0, -1].tolist(), "config": config, "tensors": shapes,
        "features": rounded(in_order), "logits": rounded(output.logits[0, -1]),
    }


if __name__ == "__main__":
    json.dump({"cases": [result_of(name, case) for name, case in CASES.items()]}, sys.stdout, separators=(",", ":"))
