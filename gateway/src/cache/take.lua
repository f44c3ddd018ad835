-- Takes one request from every bucket in KEYS, or from none. The algorithm is
-- that of limits/gcra.rs; the time is the server's, so replicas need no common clock.
-- ARGV: interval and capacity of each bucket, in microseconds.
-- Returns: 1 or 0, the time, and the arrival time of each bucket.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local reply = { 1, now }
for i, key in ipairs(KEYS) do
  local interval, capacity = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local stored = tonumber(redis.call('GET', key) or now)
  local arrival = math.min(math.max(stored, now), now + capacity)
  reply[i + 2] = arrival
  if arrival < stored then
    redis.call('SET', key, string.format('%.0f', arrival), 'PX', math.ceil((arrival - now) / 1000))
  end
  if arrival + interval - now > capacity then
    reply[1] = 0
  end
end
if reply[1] == 1 then
  for i, key in ipairs(KEYS) do
    local arrival = reply[i + 2] + tonumber(ARGV[2 * i - 1])
    reply[i + 2] = arrival
    redis.call('SET', key, string.format('%.0f', arrival), 'PX', math.ceil((arrival - now) / 1000))
  end
end
return reply
