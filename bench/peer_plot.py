"""A bar for each configuration: seconds a frame, with the range of the rounds. SVG by hand."""
import html
import math

WIDTH, LEFT, RIGHT, TOP, ROW = 860, 240, 150, 56, 30
OURS, PEER = "#2f6f9f", "#b0693a"


def tick_step(limit):
    """1, 2 or 5 times a power of ten, for four to nine ticks."""
    power = 10 ** math.floor(math.log10(limit / 4))
    return next(power * factor for factor in (1, 2, 5, 10) if limit / (power * factor) <= 9)


def bars_svg(title, rows):
    """`rows`: dicts with name, ours, median, low and high (seconds a frame) and note."""
    limit = max(row["high"] for row in rows) * 1.02
    height = TOP + ROW * len(rows) + 40
    scale = (WIDTH - LEFT - RIGHT) / limit
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
           'font-size="13">', f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
           f'<text x="12" y="26" font-size="16">{html.escape(title)}</text>']
    step, bottom = tick_step(limit), TOP + ROW * len(rows)
    for i in range(int(limit / step) + 1):
        x = LEFT + i * step * scale
        out.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}" stroke="#ddd"/>')
        out.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle" fill="#555">{i * step:g}</text>')
    for i, row in enumerate(rows):
        y, middle = TOP + ROW * i, TOP + ROW * i + ROW / 2
        low, median, high = (row[key] * scale for key in ("low", "median", "high"))
        out.append(f'<text x="{LEFT - 10}" y="{middle + 4}" text-anchor="end">{html.escape(row["name"])}</text>')
        out.append(f'<rect x="{LEFT}" y="{y + 5}" width="{median:.1f}" height="{ROW - 10}" '
                   f'fill="{OURS if row["ours"] else PEER}"/>')
        out.append(f'<path d="M{LEFT + low:.1f} {middle}H{LEFT + high:.1f}M{LEFT + low:.1f} {middle - 5}v10'
                   f'M{LEFT + high:.1f} {middle - 5}v10" stroke="black" fill="none"/>')
        out.append(f'<text x="{LEFT + max(median, high) + 8:.1f}" y="{middle + 4}">{html.escape(row["note"])}</text>')
    out.append(f'<text x="{LEFT}" y="{bottom + 34}" fill="#555">seconds a frame: median, least and most</text></svg>')
    return "\n".join(out) + "\n"
