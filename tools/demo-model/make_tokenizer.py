"""Trains the tokenizer on generated conversations and writes its files.

    python3 make_tokenizer.py FOLDER

Only before a new training: the weights belong to the tokenizer that they were trained with, and made
again it comes out different.
"""

import json
import os
import random
import sys

import bpe
import dialogues
import screens
from scenes import make_scene, truth

SIZE = 3072
# Frequent English words, so that a prompt in other words is still cut into words.
ENGLISH = (
    "the of and to a in is it you that he was for on are with as I his they be at one have this from or had "
    "by hot but some what there we can out other were all your when up use word how said an each she which "
    "do their time if will way about many then them would write like so these her long make thing see him "
    "two has look more day could go come did my sound no most number who over know water than call first "
    "people may down side been now find any new work part take get place made live where after back little "
    "only round man year came show every good me give our under name very through just form much great think "
    "say help low line before turn cause same mean differ move right boy old too does tell sentence set three "
    "want air well also play small end put home read hand port large spell add even land here must big high "
    "such follow act why ask men change went light kind off need house picture try us again animal point "
    "mother world near build self earth father image video screen screenshot recording window application "
    "browser editor terminal button text title file folder page user describe description summarize summary "
    "list answer question format output input json markdown field value exactly following provide identify "
    "visible shown current currently working open using context project task goal session segment duration "
    "second seconds minute minutes hour start end between during while because should would please return "
    "respond response include never always each item array string object key topics apps activity category "
    "software development programming language technology document documentation research meeting message "
    "email chat code review debug test deploy design plan analysis data database server client network").split()


def texts(seed=1, count=6000):
    rng = random.Random(seed)
    for i in range(count):
        line = truth(make_scene(rng))["line"]
        yield line
        if i % 3 == 0:
            content, system = (dialogues.random_single(rng) if i % 2 else
                               dialogues.random_batch(rng, rng.randint(2, 4)))
            yield dialogues.render_prompt(content, 1, system)
        if i % 4 == 0:
            content, system, answer = dialogues.random_summary(rng)
            yield dialogues.render_prompt(content, 1, system)
            yield answer
    for _ in range(6):
        for word in ENGLISH + screens.WORDS + screens.IDENTIFIERS:
            yield " " + word
        for word in ENGLISH:
            yield word.title()


def main(folder):
    vocab, merges = bpe.train(texts(), SIZE)
    bpe.save(os.path.join(folder, "tokenizer.json"), vocab, merges)
    config = {
        "tokenizer_class": "Qwen2Tokenizer", "model_max_length": 8192, "add_bos_token": False,
        "add_prefix_space": False, "bos_token": None, "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>", "unk_token": None, "errors": "replace",
        "clean_up_tokenization_spaces": False, "split_special_tokens": False,
        "added_tokens_decoder": {str(vocab[t]): {
            "content": t, "lstrip": False, "rstrip": False, "normalized": False, "single_word": False,
            "special": True} for t in bpe.SPECIALS},
        "additional_special_tokens": [t for t in bpe.SPECIALS if t != "<|endoftext|>"],
        "chat_template": CHAT_TEMPLATE,
    }
    with open(os.path.join(folder, "tokenizer_config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=2)
    tokenizer = bpe.Tokenizer(os.path.join(folder, "tokenizer.json"))
    rng = random.Random(99)
    lengths = [len(tokenizer.encode(truth(make_scene(rng))["line"])) for _ in range(500)]
    print(f"{len(vocab)} tokens; an answer has {min(lengths)} to {max(lengths)}, "
          f"on average {sum(lengths) / len(lengths):.1f}")
    for name in ("SINGLE", "BATCH", "SUMMARY"):
        print(name.lower(), "prompt:", len(tokenizer.encode(getattr(dialogues, name))), "tokens")


CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message.role + '\\n' -}}"
    "{%- if message.content is string -%}{{- message.content -}}"
    "{%- else -%}{%- for part in message.content -%}"
    "{%- if part.type == 'image' or 'image' in part or 'image_url' in part -%}"
    "{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}"
    "{%- elif part.type == 'video' or 'video' in part -%}"
    "{{- '<|vision_start|><|video_pad|><|vision_end|>' -}}"
    "{%- elif 'text' in part -%}{{- part.text -}}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{{- '<|im_end|>\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)

if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
