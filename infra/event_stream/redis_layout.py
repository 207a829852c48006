"""How events are laid out in Redis.

A run is one stream; its event with number n has the id `1-n`. A key beside it has the highest fencing token, and a
channel with the stream's name carries the number after the last event whenever events are appended.
"""

from infra.ports import EventBatch
from models.events import Event

PAUSED_CHANNEL = "holdfast:resting"
"""The channel on which the ids of runs that pause, end or are announced are published."""

_STREAM = "holdfast:events:"

_FOLLOWING = """
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local following = last and tonumber(string.sub(last[1], 3)) + 1 or 0
"""
_NEWEST = """
local newest = tonumber(redis.call('GET', KEYS[2]) or '0')
"""

FENCE = f"""
{_NEWEST}
if newest < tonumber(ARGV[2]) then redis.pcall('SET', KEYS[2], ARGV[2], 'PX', ARGV[1]) end
{_FOLLOWING}
return following
"""
"""Keeps a fencing token, the second argument, for as many milliseconds as the first says. Returns the number of the
run's next event, also where there is no memory left for the token: then only the numbers keep writers apart.
"""

APPEND = f"""
{_NEWEST}
if ARGV[3] ~= '' and tonumber(ARGV[3]) < newest then return 0 end
{_FOLLOWING}
local new = 4
while new <= #ARGV and tonumber(ARGV[new]) < following do new = new + 3 end
if new > 4 then
  local id = '1-' .. ARGV[new - 3]
  local there = redis.call('XRANGE', KEYS[1], id, id)[1]
  if not there or there[2][4] ~= ARGV[new - 1] then return 0 end
end
for i = new, #ARGV, 3 do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '1-' .. ARGV[i], 'name', ARGV[i + 1], 'data', ARGV[i + 2])
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('PUBLISH', KEYS[1], string.format('%d', math.max(following, tonumber(ARGV[#ARGV - 2]) + 1)))
return 1
"""
"""Appends a run's events: its retention in milliseconds, how many to keep, the fencing token or nothing, and then
number, name and data of each.

All of them or none, and 0, where the token is old or another writer has used one of the numbers: a worker that was
frozen and goes on must not add events to those of its successor. Events that are there already, because the answer to
an earlier write was lost, are left as they are.
"""


def stream_of(run_id: str) -> str:
    """The key of the run's stream, which is its channel's name as well."""
    return f"{_STREAM}{run_id}"


def run_of(channel: str) -> str:
    return channel.removeprefix(_STREAM)


def keys_of(run_id: str) -> tuple[str, str]:
    """The keys of a run: its stream and its fencing token. The braces keep both on one node of a cluster."""
    stream = stream_of(run_id)
    return stream, f"holdfast:writer:{{{stream}}}"


def entry_id(number: int) -> str:
    return f"1-{number}"


def number_of(entry: bytes) -> int:
    return int(entry.partition(b"-")[2])


def batch_of(entries: list[tuple[bytes, dict[bytes, bytes]]]) -> EventBatch:
    """The entries, as XRANGE returns them, up to the first gap."""
    first = number_of(entries[0][0])
    events = [
        Event(fields[b"name"].decode(), fields[b"data"].decode())
        for number, (entry, fields) in enumerate(entries, first)
        if number_of(entry) == number
    ]
    return EventBatch(first, events)
