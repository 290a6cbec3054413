-- Runs commands if each key has its expected text ('' means that the key does not exist). Returns 1, or the first error.
-- The words are the expected texts, and then for each command the number of its words and the words. If a command
-- fails, the others still run, as in a transaction.
-- keys: unchanged...
-- args: words...
for i, key in ipairs(unchanged) do
  if (redis.call('GET', key) or '') ~= words[i] then return 0 end
end
local at, failure = #unchanged + 1, nil
while at <= #words do
  local count = tonumber(words[at])
  local answer = redis.pcall(unpack(words, at + 1, at + count))
  if type(answer) == 'table' and answer.err and not failure then failure = answer end
  at = at + count + 1
end
return failure or 1
