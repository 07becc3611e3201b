// SPDX-License-Identifier: Apache-2.0

import GatewayRedis

/// The scripts for limits over all nodes.
///
/// The hash of a user's connections has a field for each connection id, whose value is the node's id, a colon, and the id of the session
/// if it is known.
extension StoreScripts {
    /// Counts a connection of a user.
    ///
    /// Arguments: node, connection, the session that it resumes or an empty string, maximum number, whether the oldest are evicted (1),
    /// time to live in ms, then the nodes that are alive. Replies with `ok` and the evicted connections, each followed by its node; with
    /// `full`; or with `unknown` and the other nodes whose connections count.
    ///
    /// Ids begin with their time, so their order is that of the connections.
    static let admitConnection = RedisScript(
        """
        local fields = redis.call('HGETALL', KEYS[1])
        local alive = { [ARGV[1]] = true }
        for index = 7, #ARGV do alive[ARGV[index]] = true end
        local list, nodes, strangers = {}, {}, { 'unknown' }
        for index = 1, #fields, 2 do
          local id = fields[index]
          local node, session = string.match(fields[index + 1], '^(%w+):(%w*)$')
          if id ~= ARGV[2] and node and (ARGV[3] == '' or session ~= ARGV[3]) then
            list[#list + 1] = id
            nodes[id] = node
            if not alive[node] then
              alive[node] = true
              strangers[#strangers + 1] = node
            end
          end
        end
        local reply = { 'ok' }
        local excess = #list + 1 - tonumber(ARGV[4])
        if excess > 0 then
          if #strangers > 1 then return strangers end
          if ARGV[5] ~= '1' then return { 'full' } end
          table.sort(list)
          for index = 1, math.min(excess, #list) do
            redis.call('HDEL', KEYS[1], list[index])
            reply[#reply + 1] = list[index]
            reply[#reply + 1] = nodes[list[index]]
          end
        end
        redis.call('HSET', KEYS[1], ARGV[2], ARGV[1] .. ':' .. ARGV[3])
        redis.call('PEXPIRE', KEYS[1], ARGV[6])
        return reply
        """)

    /// Records the session of a connection that is counted. Arguments: connection, node, session, time to live in ms.
    static let updateConnection = RedisScript(
        """
        if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
        redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ':' .. ARGV[3])
        redis.call('PEXPIRE', KEYS[1], ARGV[4])
        return 1
        """)

    /// Removes the connections of nodes. Arguments: the nodes.
    static let removeNodes = RedisScript(
        """
        local fields = redis.call('HGETALL', KEYS[1])
        local gone = {}
        for index = 1, #ARGV do gone[ARGV[index]] = true end
        for index = 1, #fields, 2 do
          local node = string.match(fields[index + 1], '^(%w+):')
          if not node or gone[node] then redis.call('HDEL', KEYS[1], fields[index]) end
        end
        return 0
        """)

    /// Grants units of a rate by the generic cell rate algorithm, whose theoretical arrival time is the value, in Unix µs of the server.
    ///
    /// Arguments: µs for each unit, units of the burst, wanted units. Replies with the granted units and the µs until the next one.
    static let grant = RedisScript(
        """
        local time = redis.call('TIME')
        local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
        local cost, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
        -- After a failover the clock may be another one.
        local arrival = math.min(math.max(now, tonumber(redis.call('GET', KEYS[1]) or '0')), now + burst * cost)
        local free = math.floor((now + burst * cost - arrival) / cost + 0.000001)
        local units = math.min(free, wanted)
        if units < 1 then return { 0, math.ceil(arrival + cost - now - burst * cost) } end
        arrival = arrival + units * cost
        redis.call('SET', KEYS[1], string.format('%.3f', arrival), 'PX', math.ceil((arrival - now) / 1000) + 1000)
        return { units, 0 }
        """)
}
