-- Returns the slots with waiting messages. The key of a list is the slot followed by one of the first `count` words.
-- The other words are the slots.
-- args: count, words...
count = tonumber(count)
local found = {}
local function waits(slot)
  for each = 1, count do
    if redis.call('EXISTS', slot .. words[each]) == 1 then return true end
  end
end
for each = count + 1, #words do
  if waits(words[each]) then found[#found + 1] = words[each] end
end
return found
