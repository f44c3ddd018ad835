-- Keeps the mark with the highest number: KEYS[1] holds NUMBER:HASH.
local kept = redis.call('GET', KEYS[1])
local number = kept and tonumber(string.match(kept, '^(%d+):')) or 0
if number < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], ARGV[1] .. ':' .. ARGV[2])
end
return number
