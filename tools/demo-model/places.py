"""Where the demo model's files lie in this repository."""

import os

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODEL = os.path.join(ROOT, "assets", "demo-model")       # weights, tokenizer, configuration
PROMPTS = os.path.join(ROOT, "assets", "prompts")        # the wordings that training knows best
GOLDEN = os.path.join(ROOT, "tests", "golden")           # what transformers computes, and the frames it saw
SAMPLES = os.path.join(ROOT, "assets", "samples")        # session-a and frames of it
