"""Trains the demo model.  Needs one GPU and about 16 CPU cores.

    python3 train.py --out run --seconds 960

The run is boxed by wall clock: the learning rate follows the share of the time
that has passed, and checkpoints are written all along.  `--resume folder` takes
the weights of an earlier checkpoint and `--from-share` the share of the
schedule that it had reached.  The frames never repeat for long: renderers keep
replacing the pool while the GPU trains.
"""

import argparse
import gc
import json
import multiprocessing
import os
import threading
import time

import torch
import torch.nn.functional as F
from torch import nn

import bpe
import evaluate
import feed
import places
from model import IMAGE_HEIGHT, IMAGE_WIDTH, TinyVLM, load_checkpoint, save_checkpoint

CHECK = 96                       # frames of the quick checks during training


# ---- optimiser -----------------------------------------------------------------------

def orthogonalize(matrices, steps=5):
    """Newton-Schulz iteration towards the nearest semi-orthogonal matrices (batched)."""
    x = matrices.bfloat16()
    flip = x.shape[1] > x.shape[2]
    if flip:
        x = x.transpose(1, 2)
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        square = x @ x.transpose(1, 2)
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.transpose(1, 2) if flip else x


class Optimizer:
    """Muon for the matrices inside the towers, AdamW for everything else."""

    def __init__(self, model, extra, rate_matrix, rate_other, decay=0.01):
        groups, others = {}, list(extra)
        for name, parameter in model.named_parameters():
            inside = ".blocks." in name or ".layers." in name or "merger" in name
            if inside and parameter.dim() == 2:
                parts = 3 if name.endswith("qkv.weight") else 1
                for part in range(parts):
                    rows = parameter.shape[0] // parts
                    groups.setdefault((rows, parameter.shape[1]), []).append(
                        (parameter, slice(part * rows, (part + 1) * rows)))
            else:
                others.append(parameter)
        self.groups, self.rate, self.decay = groups, rate_matrix, decay
        self.momentum = {}
        device = others[0].device
        for shape, members in groups.items():
            self.momentum[shape] = torch.zeros(len(members), *shape, device=device)
        fused = {"fused": True} if device.type == "cuda" else {}
        self.adam = torch.optim.AdamW(others, lr=rate_other, betas=(0.9, 0.98), eps=1e-9,
                                      weight_decay=0.0, **fused)
        self.rate_other = rate_other
        self.parameters = [p for members in groups.values() for p, _ in members] + others
        for parameter in self.parameters:            # gradients stay in place: graphs hold on to them
            parameter.grad = torch.zeros_like(parameter)

    def zero_grad(self):
        torch._foreach_zero_([parameter.grad for parameter in self.parameters])

    @torch.no_grad()
    def step(self, share, inertia=0.95):
        for shape, members in self.groups.items():
            gradient = torch.stack([p.grad[part] for p, part in members])
            momentum = self.momentum[shape]
            momentum.lerp_(gradient, 1 - inertia)
            update = orthogonalize(gradient.lerp(momentum, inertia)).float()
            rate = self.rate * share
            scale = max(1.0, shape[0] / shape[1]) ** 0.5
            views = [p[part] for p, part in members]
            torch._foreach_mul_(views, 1 - rate * self.decay)
            torch._foreach_add_(views, list(update.unbind(0)), alpha=-rate * scale)
        for group in self.adam.param_groups:
            group["lr"] = self.rate_other * share
        self.adam.step()


class KeyHeads(nn.Module):
    """Auxiliary task: every image token names the key words that it shows.

    Only a training aid, it teaches the vision tower to read; not in the model.
    """

    def __init__(self, width):
        super().__init__()
        self.sizes = [len(values) for values in feed.KEY_VALUES]
        self.present = nn.Linear(width, len(self.sizes))
        self.names = nn.Linear(width, sum(self.sizes))

    def forward(self, seen, keys):
        """`seen`: (frames, tokens, width); `keys`: (frames, kinds, tokens), 0 = none."""
        keys = keys.long()
        target = (keys > 0).transpose(1, 2).float()
        loss = F.binary_cross_entropy_with_logits(self.present(seen).float(), target)
        names = self.names(seen).float()
        at = 0
        for k, size in enumerate(self.sizes):
            label = keys[:, k].reshape(-1) - 1
            wrong = F.cross_entropy(names[..., at:at + size].reshape(-1, size), label,
                                    ignore_index=-1, reduction="sum")
            loss = loss + 0.2 * wrong / (label >= 0).sum().clamp(min=1)
            at += size
        return loss


# ---- the frame pool --------------------------------------------------------------------

class Pool:
    """Frames on the device, refilled by a thread from the renderers' staging blocks."""

    def __init__(self, index, staging, free, full, device):
        capacity = index.capacity
        self.index, self.staging, self.free, self.full, self.device = index, staging, free, full, device
        self.images = torch.zeros(capacity, IMAGE_HEIGHT, IMAGE_WIDTH, 3, dtype=torch.uint8, device=device)
        self.keys = torch.zeros(capacity, len(feed.KEY_KINDS), feed.TOKENS, dtype=torch.uint8, device=device)
        self.stopped = False
        self.busy = threading.Lock()                 # no copies while a graph is captured
        self.stream = torch.cuda.Stream() if device.type == "cuda" else None
        if device.type == "cuda":                    # page-lock the staging memory
            for array in (staging.images, staging.keys):
                status = torch.cuda.cudart().cudaHostRegister(array.ctypes.data, array.nbytes, 0)
                if int(status):
                    print(f"staging memory is not page-locked: {status}", flush=True)
        self.thread = threading.Thread(target=self._load, daemon=True)
        self.thread.start()

    def _load(self):
        index, staging = self.index, self.staging
        if self.device.type == "cuda":
            torch.cuda.set_device(0)
        while not self.stopped:
            block = self.full.get()
            start = int(index.written[0]) % index.capacity
            stop = start + feed.BLOCK
            if self.stream is not None:
                with self.busy, torch.cuda.stream(self.stream):
                    self._copy(block, start, stop)
                    self.stream.synchronize()
            else:
                self._copy(block, start, stop)
            index.answers[start:stop] = staging.answers[block]
            index.lengths[start:stop] = staging.lengths[block]
            index.groups[start:stop] = staging.groups[block]
            index.written[0] += feed.BLOCK
            self.free.put(block)

    def _copy(self, block, start, stop):
        self.images[start:stop].copy_(torch.from_numpy(self.staging.images[block]), non_blocking=True)
        self.keys[start:stop].copy_(torch.from_numpy(self.staging.keys[block]), non_blocking=True)

    def take(self, slots, dtype):
        """Frames in [-1, 1] with slight random changes of place, light and noise."""
        n, device = len(slots), self.images.device
        x = self.images.index_select(0, slots)
        for axis, size in ((1, IMAGE_HEIGHT), (2, IMAGE_WIDTH)):
            shift = torch.randint(-5, 6, (1,), device=device) * (torch.rand(1, device=device) < 0.5)
            x = x.index_select(axis, (torch.arange(size, device=device) + shift) % size)
        gain = (1 + 0.16 * (torch.rand(n, 1, 1, 1, device=device) - 0.5)).to(dtype)
        offset = (0.12 * (torch.rand(n, 1, 1, 3, device=device) - 0.5)).to(dtype)
        noise = 0.06 * torch.rand(n, 1, 1, 1, device=device) * (torch.rand(n, 1, 1, 1, device=device) < 0.5)
        x = (x.to(dtype) / 127.5 - 1) * gain + offset
        x = (x + noise.to(dtype) * torch.randn_like(x)).clamp(-1, 1)
        return x, self.keys.index_select(0, slots)


# ---- training ---------------------------------------------------------------------------

INPUTS = ("ids", "positions", "target_at", "targets", "image_at", "slots")


class Step:
    """Forward and backward of micro-batches, adding to the gradients.

    On a GPU each shape is captured once as a CUDA graph, which leaves the CPU
    to the renderers.  Should a capture fail, that shape runs without a graph.
    """

    def __init__(self, model, heads, pool, dtype, graphs):
        self.model, self.heads, self.pool, self.dtype, self.graphs = model, heads, pool, dtype, graphs
        self.device = pool.device
        self.key_weight = torch.zeros((), device=self.device)
        self.made = {}
        self.memory = torch.cuda.graph_pool_handle() if graphs else None

    def compute(self, shape, batch):
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda"):
            images = image_at = keys = None
            if shape != "text":
                images, keys = self.pool.take(batch["slots"], self.dtype)
                image_at = (batch["image_at"][:, None]
                            + torch.arange(feed.TOKENS, device=self.device)).reshape(-1)
            hidden, seen = self.model.hidden(batch["ids"], batch["positions"], images, image_at, self.dtype)
            picked = hidden.reshape(-1, hidden.shape[-1]).index_select(0, batch["target_at"])
            loss = F.cross_entropy(self.model.logits(picked).float(), batch["targets"], ignore_index=-100)
            key_loss = self.heads(seen, keys) if keys is not None else torch.zeros_like(loss)
            total = 0.2 * loss if shape == "text" else 0.4 * (loss + self.key_weight * key_loss)
        total.backward()
        return loss.detach(), key_loss.detach()

    def _tensors(self, batch):
        return {key: self._send(batch[key]).long() for key in INPUTS}

    def _send(self, array):
        """Copies to the device without waiting for it (hence from pinned memory, as it is)."""
        value = torch.from_numpy(array)
        if self.device.type == "cuda" and value.numel():
            value = value.pin_memory()
        return value.to(self.device, non_blocking=True)

    def capture(self, shape, batch):
        buffers = self._tensors(batch)
        if not self.graphs:
            return
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):                       # compiles, and settles the allocator
                self.compute(shape, buffers)
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()
        gc.collect()
        try:
            with self.pool.busy:
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph, pool=self.memory, capture_error_mode="thread_local"):
                    result = self.compute(shape, buffers)
                torch.cuda.synchronize()
            self.made[shape] = graph, buffers, result
        except Exception as error:
            print(f"no graph for {shape}: {type(error).__name__}: {str(error)[:500]}", flush=True)
            torch.cuda.synchronize()

    def __call__(self, batch):
        shape = batch["shape"]
        if shape not in self.made:
            return self.compute(shape, self._tensors(batch))
        graph, buffers, result = self.made[shape]
        for key in INPUTS:
            if len(batch[key]):
                buffers[key].copy_(self._send(batch[key]))
        graph.replay()
        return result


def schedule(share, warm=0.01, hold=0.55, end=0.01):
    """Learning-rate factor: short warm-up, constant, then linear to almost nothing."""
    if share < warm:
        return max(0.02, share / warm)
    if share < hold:
        return 1.0
    return end + (1 - end) * max(0.0, (1 - share) / (1 - hold))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("--seconds", type=float, default=1500)
    parser.add_argument("--until", type=float, help="end this long after the start, whatever the setup took")
    parser.add_argument("--resume")
    parser.add_argument("--from-share", type=float, default=0.0)
    parser.add_argument("--single-share", type=float, default=0.10, help="share of single frames only")
    parser.add_argument("--pool", type=int, default=40960, help="frames kept on the device")
    parser.add_argument("--renderers", type=int, default=max(1, (os.cpu_count() or 2) - 4))
    parser.add_argument("--builders", type=int, default=2)
    parser.add_argument("--rate-matrix", type=float, default=0.015)
    parser.add_argument("--rate-other", type=float, default=2e-3)
    parser.add_argument("--decay", type=float, default=0.02)
    parser.add_argument("--key-weight", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tokenizer", default=places.MODEL, help="folder of tokenizer.json")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--compile", type=int, default=1)
    parser.add_argument("--graphs", type=int, default=1)
    parser.add_argument("--check-every", type=float, default=120, help="seconds between quick checks")
    parser.add_argument("--max-steps", type=int, default=10 ** 9)
    args = parser.parse_args()
    began = time.time()
    os.makedirs(args.out, exist_ok=True)

    # Processes first: they must be forked before the GPU is touched.
    context = multiprocessing.get_context("fork")
    tokenizer = bpe.Tokenizer(os.path.join(args.tokenizer, "tokenizer.json"))
    blocks = 4 * args.renderers + 4
    staging, index = feed.Staging(blocks), feed.PoolIndex(args.pool)
    free, full, batches = context.Queue(), context.Queue(), context.Queue(4)
    for block in range(blocks):
        free.put(block)
    workers = [context.Process(target=feed.renderer, daemon=True,
                               args=(i, args.seed, staging, free, full, tokenizer))
               for i in range(args.renderers)]
    for worker in workers:
        worker.start()
    least = min(args.pool // 2, 4096) if args.device == "cuda" else 16
    index.phase[0] = 1 if args.from_share > args.single_share else 0
    makers = [context.Process(target=feed.builder, daemon=True,
                              args=(args.seed * 100 + i, index, batches, tokenizer, least))
              for i in range(args.builders)]
    for maker in makers:
        maker.start()

    device = torch.device(args.device)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    torch.manual_seed(args.seed)
    model = TinyVLM().to(device)
    if args.resume:
        model.load_state_dict(load_checkpoint(args.resume))
    heads = KeyHeads(model.config["vision_config"]["out_hidden_size"]).to(device)
    optimizer = Optimizer(model, heads.parameters(), args.rate_matrix, args.rate_other, args.decay)
    pool = Pool(index, staging, free, full, device)
    run = Step(model, heads, pool, dtype, bool(args.graphs) and device.type == "cuda")
    if args.compile and device.type == "cuda":
        torch._dynamo.config.suppress_errors = True      # a block that cannot be compiled runs as it is
        for block in [*model.model.visual.blocks, *model.model.language_model.layers]:
            block.compile()
        model.model.visual.merger.compile()
        for merger in model.model.visual.deepstack_merger_list:
            merger.compile()

    evaluate.quick_frames(CHECK)
    while index.written[0] < least:
        time.sleep(0.1)
    sample = feed.Builder(0, index, tokenizer)
    for shape in feed.SHAPES:
        if run.graphs:
            run.capture(shape, sample.build(shape))
            print(f"{time.time() - began:.1f} s: {shape} ready", flush=True)
    print(f"{time.time() - began:.1f} s to the first batch; {sum(p.numel() for p in model.parameters())} weights",
          flush=True)

    begin, step, frames, waited = time.time(), 0, 0, 0.0
    if args.until:
        args.seconds = max(1.0, args.until - (begin - began))
    sums, last_print, last_check, last_save = {}, time.time(), time.time(), time.time()
    total = args.seconds / max(1e-9, 1 - args.from_share)
    while True:
        share = args.from_share + (time.time() - begin) / total
        if share >= 1 or step >= args.max_steps:
            break
        if share > args.single_share:
            index.phase[0] = 1
        start = time.time()
        group = batches.get()
        waited += time.time() - start
        optimizer.zero_grad()
        run.key_weight.fill_(args.key_weight * (1.0 if share < 0.5 else max(0.1, 2 * (1 - share))))
        for batch in group:
            loss, key_loss = run(batch)
            for name, value in ((batch["shape"], loss), ("keys", key_loss)):
                if name != "keys" or batch["shape"] != "text":
                    entry = sums.setdefault(name, [torch.zeros((), device=device), 0])
                    entry[0] += value
                    entry[1] += 1
            frames += len(batch["slots"])
        nn.utils.clip_grad_norm_(optimizer.adam.param_groups[0]["params"], 1.0)
        optimizer.step(schedule(share) * min(1.0, (step + 1) / 100))
        step += 1
        now = time.time()
        if now - last_print > 10 or step in (1, 2, 5, 20, 100):
            means = " ".join(f"{k} {v[0].item() / v[1]:.4f}" for k, v in sorted(sums.items()))
            print(f"{now - began:6.0f} s step {step} share {share:.3f} {frames / (now - begin):.0f} frames/s "
                  f"pool {int(index.written[0])} waited {waited:.1f} s | {means}", flush=True)
            sums, last_print = {}, now
        if now - last_check > args.check_every:
            print("check:", json.dumps(evaluate.quick(model, tokenizer, device, CHECK)), flush=True)
            last_check = time.time()
        if now - last_save > 60:
            write(args.out, model, share)
            last_save = time.time()
    write(args.out, model, 1.0)
    pool.stopped = True
    for process in workers + makers:
        process.terminate()
    print(f"done: {step} steps, {frames} frames in batches, {int(index.written[0])} frames drawn, "
          f"{time.time() - began:.0f} s", flush=True)


def write(folder, model, share):
    """A checkpoint that a reader always finds complete: written aside, then renamed."""
    aside = os.path.join(folder, "writing")
    save_checkpoint(aside, model.state_dict())
    with open(os.path.join(aside, "share.txt"), "w", encoding="utf-8") as file:
        file.write(f"{share:.4f}\n")
    final = os.path.join(folder, "checkpoint")
    os.makedirs(final, exist_ok=True)
    for name in os.listdir(aside):
        os.replace(os.path.join(aside, name), os.path.join(final, name))


if __name__ == "__main__":
    main()
