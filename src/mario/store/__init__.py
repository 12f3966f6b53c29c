"""Files that survive: append-only JSON lines, durable before the next step begins, resumed by rerunning.

- `jsonl`: reading with file and line in every error, and a log that repairs its own torn tail;
- `journal`: answers keyed by the hash of what was asked, so nothing durable is asked twice;
- `run`: one output directory, with its manifest, lock, journal, sealed shards and failures.

What this package does not do: it knows no engine, no grader and no markup.
"""

from mario.store.journal import Journal
from mario.store.jsonl import AppendLog, read_jsonl, write_json
from mario.store.run import RunStore
from mario.store.shards import ShardWriter, scan_shards, verify_shards

__all__ = [
    "AppendLog",
    "Journal",
    "RunStore",
    "ShardWriter",
    "read_jsonl",
    "scan_shards",
    "verify_shards",
    "write_json",
]
