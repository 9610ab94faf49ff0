"""Golden data: what transformers computes in float32 for a few frames.

    python3 golden.py check              compares the PNG files with newly drawn ones (Pillow only)
    python3 golden.py frames             draws the PNG files (Pillow only)
    python3 golden.py run CHECKPOINT     writes golden.json (needs transformers)

An engine that runs the model reproduces the token ids, the vision features
within rounding, and the greedy answers.  The frames exist at 1280x720, which
tests resizing too, and at 672x384, which is the model's own size.  They were
drawn with Pillow 9.4 and FreeType 2.12 (Debian 12's python3-pil); a newer
FreeType rounds a few pixels of some letters differently.
"""

import argparse
import inspect
import json
import os
import random

from PIL import Image, ImageChops

import dialogues
import places
from scenes import Tick, make_scene, render, truth

KINDS = ("debugger", "pull_request", "channel", "sheet", "editor", "shell_tests")
SIZES = ((1280, 720), (672, 384))


def golden_scenes():
    """Six scenes; the seventh frame is the sixth scene a little later."""
    scenes = [make_scene(random.Random(f"golden {i}"), kind=kind) for i, kind in enumerate(KINDS)]
    return [(scene, Tick(3, f"10:{20 + i}")) for i, scene in enumerate(scenes)] + [(scenes[-1], Tick(6, "10:26"))]


def frame_name(number, size):
    return f"frame-{number}-{size[0]}x{size[1]}.png"


def drawn_frames():
    """(file name, image) of every frame in both sizes."""
    for i, (scene, tick) in enumerate(golden_scenes()):
        image = render(scene, tick)
        yield frame_name(i, SIZES[0]), image
        yield frame_name(i, SIZES[1]), image.resize(SIZES[1], Image.BICUBIC)


def draw():
    os.makedirs(places.GOLDEN, exist_ok=True)
    for name, image in drawn_frames():
        image.save(os.path.join(places.GOLDEN, name), optimize=True)


def check():
    """Whether every PNG file has the pixels that are drawn now; says what differs."""
    same = True
    for name, image in drawn_frames():
        kept = Image.open(os.path.join(places.GOLDEN, name)).convert("RGB")
        difference = ImageChops.difference(kept, image).convert("L")
        pixels = sum(difference.histogram()[1:])
        print(f"{name}: {f'{pixels} pixel(s) differ' if pixels else 'same'}")
        same = same and not pixels
    return same


def cases():
    """(name, frame numbers, content) of every prompt."""
    for i in range(len(KINDS)):
        yield f"single-{i}", [i], dialogues.single_content()
    yield "interleaved-3", [0, 1, 2], dialogues.batch_content(["0.0", "12.5", "31.0"])
    yield "interleaved-4", [3, 4, 5, 6], dialogues.batch_content(["40.0", "52.5", "60.0", "61.0"])


def stats(tensor, image_tokens):
    """Shape, mean, std and the ends of the features of each image."""
    result = []
    for part in tensor.float().cpu().split(image_tokens):
        result.append({"shape": list(part.shape), "mean": round(part.mean().item(), 7),
                       "std": round(part.std().item(), 7),
                       "first_token": [round(v, 6) for v in part[0, :16].tolist()],
                       "last_token": [round(v, 6) for v in part[-1, :16].tolist()]})
    return result


def flat_ids(ids):
    """Token ids with runs of one id written as [id, count]."""
    result = []
    for i in ids:
        if result and isinstance(result[-1], list) and result[-1][0] == i:
            result[-1][1] += 1
        elif result and result[-1] == i:
            result[-1] = [i, 2]
        else:
            result.append(i)
    return result


def run(checkpoint):
    import torch
    import transformers
    from transformers import AutoTokenizer, Qwen3VLForConditionalGeneration
    torch.manual_seed(0)
    torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    try:
        from transformers import Qwen2VLImageProcessorFast as Processor
    except ImportError:
        from transformers import Qwen2VLImageProcessor as Processor
    processor = Processor.from_pretrained(checkpoint)
    try:
        model = Qwen3VLForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32)
    except TypeError:
        model = Qwen3VLForConditionalGeneration.from_pretrained(checkpoint, torch_dtype=torch.float32)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    model = model.float().eval().to(device)
    seen = {}

    def keep(name):
        return lambda module, inputs, output: seen.setdefault(name, output.detach())

    model.model.visual.merger.register_forward_hook(keep("merger"))
    for i, merger in enumerate(model.model.visual.deepstack_merger_list):
        merger.register_forward_hook(keep(f"deepstack {i}"))

    def note_positions(module, args, kwargs):
        if kwargs.get("position_ids") is not None:
            seen.setdefault("positions", kwargs["position_ids"].detach().clone())

    model.model.language_model.register_forward_pre_hook(note_positions, with_kwargs=True)
    accepts = inspect.signature(model.forward).parameters
    pad = tokenizer.convert_tokens_to_ids("<|image_pad|>")
    entries = []
    for size in SIZES:
        for name, numbers, content in cases():
            files = [frame_name(i, size) for i in numbers]
            images = [Image.open(os.path.join(places.GOLDEN, f)).convert("RGB") for f in files]
            made = processor(images=images, return_tensors="pt")
            grid, pixels = made["image_grid_thw"], made["pixel_values"]
            tokens = [int(g.prod()) // 4 for g in grid]
            message = [{"role": "user", "content": [
                {"type": "image"} if part is dialogues.IMAGE else {"type": "text", "text": part}
                for part in content]}]
            prompt = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
            assert prompt == dialogues.render_prompt(content, 1), "the chat template differs"
            ids, image = [], 0
            for i in tokenizer(prompt)["input_ids"]:
                ids += [pad] * tokens[image] if i == pad else [i]
                image += i == pad
            inputs = {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids), dtype=torch.long),
                      "pixel_values": pixels, "image_grid_thw": grid}
            if "mm_token_type_ids" in accepts:
                inputs["mm_token_type_ids"] = (inputs["input_ids"] == pad).long()
            seen.clear()
            inputs = {key: value.to(device) for key, value in inputs.items()}
            with torch.no_grad():
                logits = model(**inputs).logits[0, -1].float().cpu()
                features = dict(seen)
                answer = model.generate(**inputs, do_sample=False, max_new_tokens=400)[0, len(ids):].tolist()
            top = logits.topk(20)
            assert answer[0] == int(top.indices[0])
            positions = features["positions"]
            positions = positions[-3:, 0] if positions.dim() == 3 else positions
            entries.append({
                "name": f"{name}@{size[0]}x{size[1]}", "images": files, "width": size[0], "height": size[1],
                "prompt": prompt, "input_ids": flat_ids(ids), "image_grid_thw": grid.tolist(),
                "image_tokens": tokens,
                "last_position": [int(v) for v in positions[:, -1]],
                "pixel_values": {"shape": list(pixels.shape), "mean": round(pixels.mean().item(), 7),
                                 "std": round(pixels.std().item(), 7),
                                 "first_patch": [round(v, 6) for v in pixels[0, :16].tolist()]},
                "vision": {"merger": stats(features["merger"], tokens),
                           "deepstack": [stats(features[f"deepstack {i}"], tokens)
                                         for i in range(len(model.model.visual.deepstack_merger_list))]},
                "top_logits": [[int(i), round(v, 5)] for i, v in zip(top.indices.tolist(), top.values.tolist())],
                "answer_ids": answer, "answer": tokenizer.decode(answer, skip_special_tokens=True),
                "truth": [truth(golden_scenes()[i][0])["line"] for i in numbers]})
            print(entries[-1]["name"], len(ids), "->", entries[-1]["answer"][:100], flush=True)
    with open(os.path.join(places.GOLDEN, "golden.json"), "w", encoding="utf-8") as file:
        json.dump({"made_with": f"transformers {transformers.__version__}, float32",
                   "note": "input_ids: a pair [id, count] stands for a run of one id. Features are those of "
                           "each image, in order; first_token and last_token hold 16 values.",
                   "cases": entries}, file, indent=1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("check", "frames", "run"))
    parser.add_argument("checkpoint", nargs="?")
    args = parser.parse_args()
    if args.what == "check":
        raise SystemExit(0 if check() else 1)
    if args.what == "frames":
        draw()
    elif args.checkpoint:
        run(args.checkpoint)
    else:
        parser.error("run needs the folder of a checkpoint")


if __name__ == "__main__":
    main()
