-- Returns the JSON text, with its quotes, of a string that is a top-level field of a JSON object; nil if there is none.
-- The order of the fields does not matter. cjson is not used: it rejects some texts that Python writes.
local function json_string(text, name)
  local quoted, depth, at = '"' .. name .. '"', 0, 1
  local function string_end(from)
    local stop = string.find(text, '["\\]', from)
    while stop and string.sub(text, stop, stop) == '\\' do stop = string.find(text, '["\\]', stop + 2) end
    return stop
  end
  while true do
    local start = string.find(text, '["{}%[%]]', at)
    if not start then return nil end
    local sign = string.sub(text, start, start)
    if sign == '"' then
      local stop = string_end(start + 1)
      if not stop then return nil end
      if depth == 1 and string.sub(text, start, stop) == quoted then
        local _, value = string.find(text, '^%s*:%s*"', stop + 1)
        local value_end = value and string_end(value + 1)
        if value_end then return string.sub(text, value, value_end) end
      end
      at = stop + 1
    else
      depth = depth + ((sign == '{' or sign == '[') and 1 or -1)
      at = start + 1
    end
  end
end
