"""What people write for this task: the counter in FastAPI, with a buffer and a cache in the function's memory.

The benchmark compares ours with it. It is what ours replaces, weaknesses included: a flush that fails halfway, or whose
answer is lost, is repeated and counts twice, and nothing flushes an idle function.
"""

import os
import time
from zlib import crc32

import redis
from fastapi import FastAPI
from mangum import Mangum

app = FastAPI()
endpoints = [pair.partition("=") for pair in os.environ["REDIS_ENDPOINTS"].split(",")]
shards = [(name, redis.Redis.from_url(url, decode_responses=True)) for name, _, url in endpoints]
interval = float(os.environ.get("VISITS_FLUSH_INTERVAL", "30"))
buffer: dict[str, int] = {}
cache: dict[str, tuple[float, int]] = {}
flushed = time.monotonic()


def shard_of(page_id: str) -> tuple[str, redis.Redis]:
    return shards[crc32(page_id.encode()) % len(shards)]


def flush() -> None:
    global flushed
    for name, client in shards:
        pipeline = client.pipeline(transaction=False)
        for page_id, visits in buffer.items():
            if shard_of(page_id)[0] == name:
                pipeline.incrby(page_id, visits)
        pipeline.execute()
    buffer.clear()
    flushed = time.monotonic()


@app.post("/visit/{page_id}")
async def record_visit(page_id: str) -> dict:
    buffer[page_id] = buffer.get(page_id, 0) + 1
    if time.monotonic() - flushed >= interval:
        flush()
    return {"status": "success", "message": f"Visit recorded for page {page_id}"}


@app.get("/visits/{page_id}")
async def get_visits(page_id: str) -> dict:
    at, count = cache.get(page_id, (float("-inf"), 0))
    if time.monotonic() - at < 5:
        return {"count": count, "served_via": "in_memory"}
    name, client = shard_of(page_id)
    count = int(client.get(page_id) or 0)
    cache[page_id] = (time.monotonic(), count)
    return {"count": count, "served_via": name}


handler = Mangum(app, lifespan="off")
