-- Returns the slots for which anything waits. A slot's lists are named by the slot and one of the first `count` words;
-- the slots are the words behind these.
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
