-- SPDX-License-Identifier: Apache-2.0
-- Sends the pre-signed requests of a file one after another, round and round, and reports as one line of JSON.
-- Run as: wrk … -s requests.lua URL -- FILE; FILE is a Lua table of strings, each a whole HTTP request.

local requests
local position = 0

function init(arguments)
  requests = dofile(arguments[1])
  -- Threads begin at different places, so that they do not all send the same request at the same time.
  math.randomseed(tonumber(tostring(requests):match("0x(%x+)"), 16) % 2147483647)
  position = math.random(#requests)
end

function request()
  position = position % #requests + 1
  return requests[position]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "connect": %d, "read": %d, "write": %d, '
      .. '"status": %d, "timeout": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors.connect, errors.read,
    errors.write, errors.status, errors.timeout))
end
