"""What failures cost: `mario annotate` against an endpoint that spoils 30 % of its calls, on both sides' accounts.

    python benchmarks/chaos.py                 2,000 problems, stalls of 20 s waited out
    python benchmarks/chaos.py --timeout 5     the same, stalls cut after 5 s and asked again
    python benchmarks/chaos.py --kills 20      killed at random moments and resumed, beside a run without faults

Prints what was lost (nothing), both accounts, and the wall time of the whole command over the lower bound that the
server's log allows: the time it held calls open, spread over the calls allowed at once, or the longest problem.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the server is the tests' own

from chaos import attempts, audit, bound, command, kept, make_problems, serving, start
from test_chaos import killed_and_resumed, run_untroubled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=2000)
    parser.add_argument("--slots", type=int, default=48, help="calls at once (engine.concurrency)")
    parser.add_argument("--attempts", type=int, default=96, help="attempts at once (solve.concurrency)")
    parser.add_argument("--stall", type=float, default=20.0)
    parser.add_argument("--service", default="0.5,1.5", help="seconds a call takes, from and to")
    parser.add_argument("--timeout", type=float, default=60.0, help="engine.timeout_seconds")
    parser.add_argument("--kills", type=int, default=0)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    problems = make_problems(folder / "problems", args.problems)
    if args.kills:
        repeats = killed_and_resumed(
            problems, folder, kills=args.kills, slots=args.slots, in_flight=args.attempts, service=args.service
        )
        print(f"{args.kills} kills repeated {sum(repeats)} answered calls: {repeats}")
        (folder / "untroubled").mkdir()
        stored, whole = folder / "run", run_untroubled(problems, folder / "untroubled")
        same = attempts(stored) == attempts(whole) and kept(stored) == kept(whole)
        print(f"{len(attempts(stored))} of {args.problems} problems stored; as without faults and kills: {same}")
        return
    out = folder / "run"
    with serving(problems, folder / "calls.jsonl", stall=args.stall, service=args.service) as server:
        began = time.monotonic()
        arguments = command(
            problems, server, out, slots=args.slots, attempts=args.attempts, timeout_seconds=args.timeout
        )
        code = start(arguments, folder / "said").wait()
        wall = time.monotonic() - began
        calls = server.settle()
    print((folder / "said").read_text()[-600:])
    found = audit(out, calls)
    limits = bound(calls, args.slots, args.attempts)
    print(f"exit {code}; {len(attempts(out))} of {args.problems} problems stored; {len(calls)} calls")
    print("spoilt:", dict(sorted(Counter(call.fault for call in calls if call.fault).items())))
    print(found.lines())
    print(
        "between the bounds:",
        found.holds,
        "· equal where answers arrived:",
        found.arrived == found.spend.confirmed_tokens,
    )
    print(f"wall {wall:.1f} s; bound by slots {limits.slots:.1f} s, by the longest problem {limits.chain:.1f} s")
    print(
        f"ratio {wall / limits.lower:.3f}; to an ideal client that cannot see stalls coming {wall / limits.ideal:.3f}"
    )


if __name__ == "__main__":
    main()
