"""`mario review`: decide about suspects or trajectories in the browser; `mario review export` writes the decisions."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mario.cli.arguments import Parser, add_settings, resolve
from mario.cli.progress import say
from mario.errors import MissingExtra, UsageError


@dataclass(frozen=True, slots=True)
class ReviewConfig:
    """What is reviewed, and by whom.

    reviewer: name of the person, one file of decisions each; several work blind on one directory
    part: rows of a training set to review: kept or incorrect
    sample: review so many items, drawn by seed and name; none for all
    seed: of the draw
    port: port on 127.0.0.1; 0 takes a free one
    """

    reviewer: str = "me"
    part: Literal["kept", "incorrect"] = "kept"
    sample: int | None = None
    seed: int = 0
    port: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.port < 65536:
            raise UsageError(f"port must be from 0 to 65535, got {self.port}")
        if self.sample is not None and self.sample < 1:
            raise UsageError(f"sample must be at least 1, or none, got {self.sample}")


def run(argv: list[str]) -> int:
    if argv[:1] == ["export"]:
        return _export(argv[1:])
    parser = Parser(
        prog="mario review",
        description="Review suspects of mario labels find, or rows of a training set, in the browser. The page is\n"
        "served on this machine only; every decision is on disk before the page says so, in DIRECTORY/reviews.\n"
        "Ctrl-C ends it, and the same command goes on.\n\n"
        "mario review export DIRECTORY   write the decisions as patches, or as drops of a training set",
        epilog="example: mario review runs/suspects --reviewer anna",
    )
    parser.add_argument("directory", type=Path, metavar="DIRECTORY", help="of mario labels find or mario annotate")
    add_settings(parser, ReviewConfig)
    args = parser.parse(argv)
    return _serve(args.directory, resolve(ReviewConfig, args))


def _serve(root: Path, config: ReviewConfig) -> int:
    try:
        import uvicorn

        from mario.review.desk import Desk
        from mario.review.server import build_app
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{error.name} (for the review page)", "ui") from error
    from mario.review.book import Book
    from mario.review.guard import Guard
    from mario.review.items import Items

    items = Items(root, part=config.part, sample=config.sample, seed=config.seed)
    book = Book(root, config.reviewer)
    listening = _listen(config.port)
    guard = Guard(listening.getsockname()[1])
    say(f"{len(items):,} items, {config.reviewer} has decided {len(book.own.decisions):,}; open this address:")
    print(guard.address, flush=True)
    app = build_app(Desk(items, book, guard))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, server_header=False))
    server.run(sockets=[listening])
    return 0


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
    except OSError as error:
        listening.close()
        raise UsageError(f"port {port} cannot be used: {error.strerror}; give another, or 0 for a free one") from error
    listening.listen(64)
    return listening


def _export(argv: list[str]) -> int:
    from mario.data.patches import write_patches
    from mario.grade import is_equivalent
    from mario.review.apply import apply_drops
    from mario.review.book import read_ledgers
    from mario.review.items import Items
    from mario.review.outcome import outcome
    from mario.store.jsonl import write_jsonl

    parser = Parser(
        prog="mario review export",
        description="Write what was decided: for suspects a patch file that every reader applies (--patches), for a\n"
        "training set the rows to drop, or with --set the set without them. Items on which reviewers differ are left\n"
        "out until somebody settles them. Counts and Cohen's kappa go to stderr, or with --json to stdout.",
        epilog="example: mario review export runs/suspects --out patches.jsonl --min-reviewers 2\n"
        "         mario review export runs/taught --set runs/reviewed",
    )
    parser.add_argument("directory", type=Path, metavar="DIRECTORY", help="a directory that was reviewed")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the file to write; without it, counts only")
    parser.add_argument("--set", type=Path, metavar="DIRECTORY", help="write the training set without the dropped rows")
    parser.add_argument("--part", choices=("kept", "incorrect"), default="kept", help="rows that were reviewed [kept]")
    parser.add_argument("--min-reviewers", type=int, default=1, help="people who must agree, or one who settled [1]")
    parser.add_argument("--json", action="store_true", help="counts and kappa as JSON on stdout")
    args = parser.parse(argv)
    if args.min_reviewers < 1:
        raise UsageError(f"--min-reviewers must be at least 1, got {args.min_reviewers}")
    items = Items(args.directory, part=args.part)
    found = outcome(list(items.reviewed()), read_ledgers(args.directory), is_equivalent, args.min_reviewers)
    if args.set is not None and items.subject == "labels":
        raise UsageError(f"{args.directory} holds suspects, not a training set; --set belongs to the latter")
    rows = found.patches if items.subject == "labels" else found.drops
    if args.out is not None and items.subject == "labels":
        write_patches(args.out, found.patches)
    elif args.out is not None:
        write_jsonl(args.out, found.drops)
    made = None if args.set is None else apply_drops(args.directory, args.part, found.drops, args.set)
    kappas: list[dict[str, Any]] = [
        {"reviewers": [k.first, k.second], "n": k.n, "agree": k.observed, "by_chance": k.expected, "kappa": k.kappa}
        for k in found.kappas
    ]
    if args.json:
        print(json.dumps({"counts": found.counts, "kappas": kappas, "rows": len(rows)}, indent=2))
    else:
        say("; ".join(f"{name} {count:,}" for name, count in sorted(found.counts.items())))
        for each in kappas:
            value = "not defined" if each["kappa"] is None else f"{each['kappa']:.3f}"
            say(f"{' and '.join(each['reviewers'])}: kappa {value} on {each['n']} items")
        say(
            f"{len(rows):,} {'patches' if items.subject == 'labels' else 'drops'}"
            + (f" in {args.out}" if args.out else "")
        )
        if made is not None:
            say(f"{args.set}: {made.kept:,} rows kept, {made.incorrect:,} incorrect")
    return 0
