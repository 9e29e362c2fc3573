"""Reads with redis-py, with default settings, what a file says is there; prints what differs."""

import json
import sys

import redis

port, path = int(sys.argv[1]), sys.argv[2]
with open(path, encoding="utf-8") as file:
    expected = json.load(file)

client = redis.Redis(host="127.0.0.1", port=port, decode_responses=True)
assert client.ping() is True
wrong = []
checked = 0


def check(kind, ask, shape):
    """Reads all keys of a kind in pipelines."""
    global checked
    items = list(expected[kind].items())
    for start in range(0, len(items), 200):
        some = items[start : start + 200]
        pipeline = client.pipeline(transaction=False)
        for key, _ in some:
            ask(pipeline, key)
        for (key, value), found in zip(some, pipeline.execute()):
            checked += 1
            if found != shape(value):
                wrong.append(f"{key}: {found!r} instead of {value!r}")
        if start % 2000 == 0 or start + len(some) == len(items):
            print(f"redis-py: {kind} {start + len(some)} of {len(items)}", file=sys.stderr)


check("hashes", lambda pipeline, key: pipeline.hgetall(key), lambda value: value)
check("sets", lambda pipeline, key: pipeline.smembers(key), set)
check("counters", lambda pipeline, key: pipeline.get(key), str)
for key, members in expected["sorted"].items():
    found = client.zrange(key, 0, -1, withscores=True)
    order = sorted(members.items(), key=lambda item: (item[1], item[0].encode()))
    checked += 1
    if [(name, int(score)) for name, score in found] != order:
        wrong.append(f"{key}: another order")
keys = sum(len(expected[kind]) for kind in ("hashes", "sets", "counters", "sorted"))
scanned = set(client.scan_iter(count=500))
if client.dbsize() != keys or len(scanned) != keys:
    wrong.append(f"DBSIZE {client.dbsize()} and SCAN {len(scanned)} instead of {keys}")
print(json.dumps({"checked": checked, "wrong": wrong[:20]}))
