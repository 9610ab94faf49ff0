"""Measures MLX-VLM on frames, one by one; run by bench/peers.py with the Python that has mlx_vlm.

Standard input: one JSON object with model (a folder in Hugging Face's layout), prompt, max_tokens, warm_up,
warm_up_tokens and frames (pictures). Standard output: one JSON object; seconds is without loading the model and
without warming up.
"""
import json
import resource
import sys
import time

from mlx_vlm import generate, load
from mlx_vlm.prompt_utils import apply_chat_template


def main():
    job = json.load(sys.stdin)
    model, processor = load(job["model"])
    prompt = apply_chat_template(processor, model.config, job["prompt"], num_images=1)

    def answer(picture, tokens):
        return generate(model, processor, prompt, image=[picture], max_tokens=tokens, temperature=0.0, verbose=False)

    answer(job["warm_up"], job["warm_up_tokens"])
    began = time.monotonic()
    answers = [answer(picture, job["max_tokens"]) for picture in job["frames"]]
    seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    json.dump({"seconds": seconds, "texts": [got.text.strip() for got in answers],
               "tokens_in": sum(got.prompt_tokens for got in answers),
               "tokens_out": sum(got.generation_tokens for got in answers),
               "cached_tokens": sum(getattr(got, "cached_tokens", 0) for got in answers),
               "short": sum(got.generation_tokens < job["max_tokens"] for got in answers),
               "prompts": len(answers), "peak_memory_mb": peak}, sys.stdout)


if __name__ == "__main__":
    main()
