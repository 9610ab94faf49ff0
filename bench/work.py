"""How much a model of the Qwen3-VL family has to compute and to read for a frame, counted from its shape.

A product of a matrix of R rows and C columns with one vector is 2*R*C operations (a multiplication and an addition for
each element). Counted is what the answer needs: of attention under the causal mask the half that is not masked, the
output head for the last token of the prompt only. Left out are norms, activations, softmax and rotations, which are
less than a hundredth. What is counted says nothing about how it is computed.
"""
import dataclasses

from gguf_header import read_header


@dataclasses.dataclass(frozen=True)
class Shape:
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocab: int
    vision_layers: int
    vision_hidden: int
    vision_intermediate: int
    mergers: int             # the last one, and those that feed layers of the language model (deepstack)
    decode_weight_bytes: int = 0  # that a step of decoding reads: all layers and the output head
    patch_px: int = 16
    merge: int = 2           # patches a side that become one token
    min_pixels: int = 65_536
    max_pixels: int = 16_777_216

    @property
    def layer_weights(self):
        """Of one layer of the language model: q and o, k and v, gate, up and down."""
        query, key = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return self.hidden * (2 * query + 2 * key + 3 * self.intermediate)


def read_shape(model, projector):
    """The shape of a pair of GGUF files."""
    text, text_tensors = read_header(model)
    vision, vision_tensors = read_header(projector)

    def of_text(key):
        return text["qwen3vl." + key]

    embedding, decode_bytes = text_tensors["token_embd.weight"], sum(size for _, size in text_tensors.values())
    if "output.weight" in text_tensors:
        decode_bytes -= embedding[1]  # only looked up, a row a token
    clip = {key.removeprefix("clip.vision."): value for key, value in vision.items()}
    limits = {key: clip["image_" + key] for key in ("min_pixels", "max_pixels") if "image_" + key in clip}
    return Shape(
        layers=of_text("block_count"), hidden=of_text("embedding_length"), heads=of_text("attention.head_count"),
        kv_heads=of_text("attention.head_count_kv"), head_dim=of_text("attention.key_length"),
        intermediate=of_text("feed_forward_length"), vocab=embedding[0][1], vision_layers=clip["block_count"],
        vision_hidden=clip["embedding_length"], vision_intermediate=clip["feed_forward_length"],
        mergers=1 + sum(name.startswith("v.deepstack.") and name.endswith("fc1.weight") for name in vision_tensors),
        decode_weight_bytes=decode_bytes, patch_px=clip["patch_size"], **limits)


def model_image_size(width, height, shape, max_image_tokens=0):
    """The size at which the model sees a picture: smart_resize of transformers, as in src/image/resize.h."""
    unit = shape.patch_px * shape.merge
    max_pixels = min(shape.max_pixels, max_image_tokens * unit * unit) if max_image_tokens else shape.max_pixels
    w, h = (max(unit, round(side / unit) * unit) for side in (width, height))
    if w * h > max_pixels:
        factor = (width * height / max_pixels) ** 0.5
        w, h = (max(unit, int(side / factor // unit) * unit) for side in (width, height))
    elif w * h < shape.min_pixels:
        factor = (shape.min_pixels / (width * height)) ** 0.5
        w, h = (int(-(-side * factor // unit)) * unit for side in (width, height))
    return w, h


def vision_blocks_flop(shape, patches):
    """The matrices of the tower's layers: qkv and projection (4 of width by width), and two of the MLP."""
    width = shape.vision_hidden
    return 2 * patches * shape.vision_layers * (4 * width * width + 2 * width * shape.vision_intermediate)


def vision_flop(shape, patches):
    """One picture through the vision tower: (products, attention).

    Products: the layers; the patches' embedding, of two equal pictures (the family's kernel spans two frames) in three
    colours; and the mergers, which take the patches of one token together. Attention: every patch with every other,
    once for the scores and once for the sum of values, over the whole width.
    """
    width, merged = shape.vision_hidden, shape.vision_hidden * shape.merge ** 2
    tokens = patches // shape.merge ** 2
    embedding = 2 * patches * width * 2 * 3 * shape.patch_px ** 2
    mergers = 2 * tokens * shape.mergers * (merged * merged + merged * shape.hidden)
    attention = 4 * patches * patches * width * shape.vision_layers
    return vision_blocks_flop(shape, patches) + embedding + mergers, attention


def attention_flop(shape, positions):
    """Of tokens that look at `positions` positions together: scores, and the sum of values."""
    return 4 * positions * shape.heads * shape.head_dim * shape.layers


def prefill_flop(shape, tokens):
    """A prompt of so many tokens, image tokens included: (products, attention)."""
    products = 2 * tokens * shape.layers * shape.layer_weights + 2 * shape.hidden * shape.vocab
    return products, attention_flop(shape, tokens * (tokens + 1) // 2)


def decoded_tokens(generated):
    """Tokens that go through the model to write `generated`: the first comes of the prompt, so one less."""
    return max(0, generated - 1)


def decode_flop(shape, prompt_tokens, generated):
    """One answer: (products, attention)."""
    tokens = decoded_tokens(generated)
    products = 2 * tokens * (shape.layers * shape.layer_weights + shape.hidden * shape.vocab)
    return products, attention_flop(shape, tokens * prompt_tokens + tokens * (tokens + 1) // 2)


def decode_bytes(shape, prompt_tokens, generated, steps):
    """Bytes read to decode one answer. `steps`: its share of the steps, each of which reads the weights once for all
    the answers in it; keys and values (16 bit) are each answer's own."""
    tokens = decoded_tokens(generated)
    positions = tokens * prompt_tokens + tokens * (tokens + 1) // 2
    return steps * shape.decode_weight_bytes + 2 * 2 * positions * shape.kv_heads * shape.head_dim * shape.layers
