"""How quickly the review page answers with a long queue: `python benchmarks/review.py [ITEMS]`.

A real server over loopback, requests spread over the whole queue; the directory is made of our own example problems.
"""

from __future__ import annotations

import http.client
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from review_samples import suspects_directory


def main(count: int, requests: int = 300) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "mario", "review", str(suspects_directory(Path(folder), count))]
        began = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
            assert server.stdout is not None
            address = urlsplit(server.stdout.readline().strip())
            print(f"{count:,} items; the server is ready after {time.perf_counter() - began:.2f} s")
            try:
                measure(address.netloc, f"{address.path}?{address.query}", count, requests)
            finally:
                server.terminate()


def measure(host: str, entrance: str, count: int, requests: int) -> None:
    link = http.client.HTTPConnection(host)
    headers = {"Origin": f"http://{host}"}

    def ask(path: str, body: str | None = None) -> tuple[float, bytes]:
        began = time.perf_counter()
        link.request("GET" if body is None else "POST", path, body, headers)
        answer = link.getresponse()
        text = answer.read()
        assert answer.status == 200, text[:300]
        headers.setdefault("Cookie", (answer.getheader("set-cookie") or "").split(";")[0])
        return time.perf_counter() - began, text

    ask(entrance)
    found = re.search(rb'name="csrf" value="([^"]+)"', ask("/item/0")[1])
    assert found, "the page holds no form"
    form = f"csrf={found[1].decode()}&verdict=right&seen=0&seconds=1"
    places = [number * 7919 % count for number in range(requests)]  # 7919 is prime: no item comes twice
    show("item, what is not decided", [ask(f"/item/{place}?show=open")[0] for place in places])
    show("item, filter of two words", [ask(f"/item/{place}?show=all&q=pencils+boxes")[0] for place in places])
    show("decision on disk, next item", [ask(f"/decide/{place}?show=open", form)[0] for place in places])


def show(name: str, seconds: list[float]) -> None:
    ordered = [1000 * each for each in sorted(seconds)]
    late = ordered[int(0.95 * len(ordered))]
    print(f"{name:<28} n {len(ordered)}  median {statistics.median(ordered):.0f} ms  95 % under {late:.0f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
