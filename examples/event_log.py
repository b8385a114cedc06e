"""Find three faults in the alarm log of a plant: a step without its end, a wrong consequence, an alarm never seen."""

import random
import sys
from pathlib import Path

from scrnn_stream import SCRNNEventDetector

N_BATCHES, SHOWN, THRESHOLD = 800, 300, 0.45
FAULTS = {N_BATCHES - 8: "no end", N_BATCHES - 5: "wrong", N_BATCHES - 2: "never seen"}  # batch: fault


def log(seed: int = 2):
    """Batches of two products: events, each with whether it is the fault. The product is told once, at the begin."""
    random_ = random.Random(seed)
    for batch in range(N_BATCHES):
        product, other = random_.sample("AB", 2)
        fault = FAULTS.get(batch)
        yield f"product {product}", False
        is_late = False
        for step in ("charge", "heat", "react"):
            for _ in range(random_.randrange(4, 8)):
                yield random_.choice(["level high", "level normal", "pump on", "pump off"]), is_late
                is_late = False
            yield f"{step} begin", False
            is_late = step == "heat" and fault == "no end"
            if not is_late:
                yield f"{step} end", False
        if fault == "never seen":
            yield "bursting disc broken", True
        yield "outlet open", False
        yield f"tank {other if fault == 'wrong' else product} fills", fault == "wrong"  # decided 25 events ago


def picture(scores: list[tuple[str, float, bool]]) -> str:
    """The last scores as stems; those above the threshold by name."""
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 300" font-family="sans-serif" font-size="13">']
    parts += [f'<rect width="760" height="300" fill="white"/><text x="40" y="24">Scores of {SHOWN} events</text>']
    for share in (0.0, THRESHOLD):
        parts.append(f'<path d="M40 {270 - 350 * share:.0f}H740" stroke="#bbb" stroke-dasharray="{4 * (share > 0)}"/>')
        parts.append(f'<text x="34" y="{274 - 350 * share:.0f}" text-anchor="end">{share:.2g}</text>')
    for k, (event, score, is_fault) in enumerate(scores[-SHOWN:]):
        x, y, colour = 40 + 700 * k / SHOWN, 270 - 350 * score, "#c0504d" if is_fault else "#0b61a4"
        parts.append(f'<path d="M{x:.1f} 270V{y:.1f}" stroke="{colour}" stroke-width="{1.5 + is_fault}"/>')
        if score > THRESHOLD:
            parts.append(f'<text x="{x:.0f}" y="{y - 6:.0f}" fill="{colour}" text-anchor="middle">{event}</text>')
    return "\n".join([*parts, "</svg>\n"])


detector, scores = SCRNNEventDetector(seed=1), []
for event, is_fault in log():
    record = {"event": event}
    scores.append((event, detector.score_one(record), is_fault))
    if scores[-1][1] > THRESHOLD and len(scores) > 10_000:
        instead, p = next(iter(detector.explain_one(record).instead.items()))
        print(f"{'fault' if is_fault else 'calm'}: {event}, score {scores[-1][1]:.2f}; expected {instead} ({p:.0%})")
    detector.learn_one(record)
if len(sys.argv) > 1:
    Path(sys.argv[1]).write_text(picture(scores))
