"""What bench/peers.py found, as Markdown and as a plot."""
import work
from peer_plot import bars_svg


def share(part, whole):
    return f"{100 * part / whole:.0f} %" if whole else ""


def configuration_table(results):
    lines = ["| | s a frame: median | least | most | frames/s | times the best of ours | tokens in | of them cached | "
             "tokens out | equal texts | peak MB |", "|---" * 11 + "|"]
    frames = results["frames"]
    for row in results["configurations"]:
        equal = row["equal_texts"]
        short = f" ({row['short']} ended early)" if row["short"] else ""
        memory = f"{row['peak_memory_mb']:.0f}" if row["peak_memory_mb"] else ""
        lines.append(f"| {row['name']} | {row['median']:.3f} | {row['low']:.3f} | {row['high']:.3f} | "
                     f"{1 / row['median']:.2f} | {row['ratio']:.2f} | {row['tokens_in'] / frames:.1f} | "
                     f"{row['cached_tokens'] / frames:.1f} | {row['tokens_out'] / frames:.1f}{short} | "
                     f"{f'{equal[0]} of {equal[1]}' if equal else ''} | {memory} |")
    return lines + [f"| {name} | {why} |{' |' * 9}" for name, why in results["missing"]]


def stage_work(row, results, shape):
    """[(stage, FLOP of products, FLOP of attention, bytes of decoding, seconds)], all of one frame."""
    frames, stages = results["frames"], row["stages"]
    prompts = row["prompts"]  # an interleaved prompt holds several frames
    tokens_in, tokens_out = row["tokens_in"] / prompts, round(row["tokens_out"] / prompts)
    a_frame = prompts / frames
    patches = results["image_tokens"] * shape.merge ** 2
    prefill = [part * a_frame for part in work.prefill_flop(shape, round(tokens_in))]
    flop = {"vision": work.vision_flop(shape, patches), "prefill": prefill,
            "decode": [part * a_frame for part in work.decode_flop(shape, round(tokens_in), tokens_out)]}
    flop["vision + prefill"] = [a + b for a, b in zip(flop["vision"], prefill)]
    read = a_frame * work.decode_bytes(shape, round(tokens_in), tokens_out, row["steps"] / prompts)
    return [(stage, *flop[stage], read if stage == "decode" else 0, seconds / frames)
            for stage, seconds in stages.items()]


def work_table(results, shape):
    ceilings = results["ceilings"]
    lines = ["| | stage | s a frame | GFLOP: products | attention | GFLOP/s | of fp32 | of bf16 | GB read | GB/s | "
             "of memory |", "|---" * 11 + "|"]
    for row in results["configurations"]:
        if not row["stages"]:
            continue
        for stage, products, attention, read, seconds in stage_work(row, results, shape):
            rate = (products + attention) / 1e9 / seconds
            bandwidth = read / 1e9 / seconds
            of_memory = f"{read / 1e9:.2f} | {bandwidth:.1f} | {share(bandwidth, ceilings['memory_gb_s'])}"
            lines.append(f"| {row['name']} | {stage} | {seconds:.3f} | {products / 1e9:.1f} | {attention / 1e9:.1f} | "
                         f"{rate:.1f} | {share(rate, ceilings.get('fp32_gop_s'))} | "
                         f"{share(rate, ceilings.get('bf16_gop_s'))} | {of_memory if read else ' | | '} |")
    return lines


def ceiling_line(results):
    names = {"fp32_gop_s": "fp32 {:.0f} GFLOP/s", "bf16_gop_s": "bf16 {:.0f} GFLOP/s",
             "int8_gop_s": "int8 {:.0f} GOP/s", "memory_gb_s": "memory {:.1f} GB/s"}
    found = [form.format(results["ceilings"][key]) for key, form in names.items() if key in results["ceilings"]]
    return f"Ceilings, {results['threads']} threads: {', '.join(found)}."


def title(results):
    answers = f"{results['tokens']} tokens an answer" if results["tokens"] else "answers to their own end"
    width, height = results["frame_size"]
    frames, threads = results["frames"], results["threads"]
    return f"{results['model']}: {frames} frames of {width}x{height}, {answers}, {threads} threads"


def markdown(results, shape):
    lines = [f"# {title(results)}", "",
             f"{results['machine']}; llama.cpp {results['llama_cpp']}; {results['rounds']} rounds in alternation; "
             f"{results['image_tokens']} image tokens a frame. The best of ours is {results['best_of_ours']}.", "",
             *configuration_table(results), "", ceiling_line(results), "", *work_table(results, shape)]
    return "\n".join(lines) + "\n"


def plot(results):
    rows = [{**row, "note": f"{row['median']:.3g} s ({row['ratio']:.2f})"} for row in results["configurations"]]
    return bars_svg(title(results), rows)
