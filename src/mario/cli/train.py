"""`mario train`: one file for each kind of training."""

from __future__ import annotations

from mario.errors import UsageError
from mario.recipe import unknown_key

SUBVERBS = {
    "sft": "fine-tune on trajectories, learning the model's spans and never the interpreter's",
    "preview": "what a run would learn from, coloured, before it does",
    "ovm": "one network that writes right solutions and values right and wrong ones",
    "lm": "train further on plain text, before fine-tuning",
}


def run(argv: list[str]) -> int:
    match argv[:1]:
        case ["sft"]:
            from mario.cli import train_sft

            return train_sft.run(argv[1:])
        case ["preview"]:
            from mario.cli import train_preview

            return train_preview.run(argv[1:])
        case ["ovm"]:
            from mario.cli import train_ovm

            return train_ovm.run(argv[1:])
        case ["lm"]:
            from mario.cli import train_lm

            return train_lm.run(argv[1:])
        case [] | ["-h"] | ["--help"]:
            lines = "\n".join(f"  mario train {name:<9}{summary}" for name, summary in SUBVERBS.items())
            print(
                f"usage: mario train KIND [ARGUMENTS] [--setting VALUE …]\n\n{lines}\n\n"
                "mario train KIND --help lists the settings.\n\nexample: mario train sft runs/taught --out runs/model"
            )
            return 0
    raise UsageError(f"{unknown_key(argv[0], list(SUBVERBS), 'kind of training')}; see: mario train --help")
