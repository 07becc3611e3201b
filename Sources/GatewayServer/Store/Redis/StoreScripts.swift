// SPDX-License-Identifier: Apache-2.0

import GatewayRedis

/// The scripts for sessions. Each one reads and writes a single key.
///
/// The hash of a session has the fields `o` (owner), `e` (epoch), `q` (serial number of the last commit in this epoch), `t` (hashes of the
/// valid tokens), and one field of 9 bytes for each record.
enum StoreScripts {
    static let all = [
        commit, end, refresh, claim, handOver, addUsage, useToken, spendToken, refundToken, revoke, recordRevocation, keepKey,
        admitConnection, updateConnection, removeNodes, grant, announce, withdraw, replace, beginRequest,
    ]

    /// Applies one commit of a session.
    ///
    /// Arguments: owner, epoch, serial number of the commit, time to live in ms (0: unchanged), token hashes (`-`: unchanged), number of
    /// ranges, number of removed fields; then the ranges (kind, first and end, 17 bytes), the removed fields, and fields with values.
    ///
    /// Fields are written before others are removed: a server without memory rejects only the first write of a script.
    static let commit = RedisScript(
        """
        local key, serial = KEYS[1], tonumber(ARGV[3])
        local head = redis.call('HMGET', key, 'o', 'e', 'q')
        if not head[2] then
          if serial ~= 1 or ARGV[2] ~= '1' then return 2 end
        elseif head[2] ~= ARGV[2] or head[1] ~= ARGV[1] then
          return 1
        else
          local last = tonumber(head[3])
          if last >= serial then
            redis.call('HSET', key, 'q', head[3])
            return 0
          end
          if last + 1 ~= serial then return 3 end
        end
        local ranges, removed, position = tonumber(ARGV[6]), tonumber(ARGV[7]), 8
        local gone = {}
        if ranges > 0 and head[2] then
          local fields = redis.call('HKEYS', key)
          for index = 1, ranges do
            local kind, a, b, c, d = struct.unpack('>BI4I4I4I4', ARGV[position])
            position = position + 1
            for _, field in ipairs(fields) do
              if #field == 9 and field:byte() == kind then
                local _, x, y = struct.unpack('>BI4I4', field)
                if (x > a or x == a and y >= b) and (x < c or x == c and y < d) then gone[#gone + 1] = field end
              end
            end
          end
        else
          position = position + ranges
        end
        local first = position
        position = position + removed
        if not head[2] then
          redis.call('HSET', key, 'o', ARGV[1], 'e', '1', 'q', ARGV[3])
        elseif position > #ARGV then
          redis.call('HSET', key, 'q', ARGV[3])
        end
        while position <= #ARGV do
          local last = math.min(position + 3999, #ARGV)
          redis.call('HSET', key, 'q', ARGV[3], unpack(ARGV, position, last))
          position = last + 1
        end
        if ARGV[5] ~= '-' then redis.call('HSET', key, 't', ARGV[5]) end
        local stop = first + removed - 1
        while first <= stop do
          local last = math.min(first + 3999, stop)
          redis.call('HDEL', key, unpack(ARGV, first, last))
          first = last + 1
        end
        for index = 1, #gone, 4000 do
          redis.call('HDEL', key, unpack(gone, index, math.min(index + 3999, #gone)))
        end
        if ARGV[4] ~= '0' then redis.call('PEXPIRE', key, ARGV[4]) end
        return 0
        """)

    /// Deletes a session. Arguments: owner, epoch.
    static let end = RedisScript(
        """
        local head = redis.call('HMGET', KEYS[1], 'o', 'e')
        if head[2] then
          if head[2] ~= ARGV[2] or head[1] ~= ARGV[1] then return 1 end
          redis.call('UNLINK', KEYS[1])
        end
        return 0
        """)

    /// Extends the time to live of a session and checks its ownership. Deletes a session that has lost commits.
    ///
    /// Arguments: owner, epoch, serial number of the last acknowledged commit, time to live in ms.
    static let refresh = RedisScript(
        """
        local head = redis.call('HMGET', KEYS[1], 'o', 'e', 'q')
        if not head[2] then return 2 end
        if head[2] ~= ARGV[2] or head[1] ~= ARGV[1] then return 1 end
        if tonumber(head[3]) < tonumber(ARGV[3]) then
          redis.call('UNLINK', KEYS[1])
          return 2
        end
        redis.call('PEXPIRE', KEYS[1], ARGV[4])
        return 0
        """)

    /// Takes over a session. Arguments: the new owner, the expected epoch, the next epoch, time to live in ms.
    ///
    /// Replies with all fields; with the owner and epoch as two elements if the epoch is another one; with null if there is no session.
    static let claim = RedisScript(
        """
        local head = redis.call('HMGET', KEYS[1], 'o', 'e', 'q')
        if not head[2] then return false end
        if head[2] == ARGV[2] then
          redis.call('HSET', KEYS[1], 'o', ARGV[1], 'e', ARGV[3], 'q', '0')
          redis.call('PEXPIRE', KEYS[1], ARGV[4])
        elseif head[2] ~= ARGV[3] or head[1] ~= ARGV[1] or head[3] ~= '0' then
          return {head[1], head[2]}
        end
        return redis.call('HGETALL', KEYS[1])
        """)

    /// Makes another node the owner. Arguments: owner, epoch, the new owner, the next epoch, the serial number of the last commit, time to
    /// live in ms.
    static let handOver = RedisScript(
        """
        local head = redis.call('HMGET', KEYS[1], 'o', 'e', 'q')
        if not head[2] then return 2 end
        if head[2] == ARGV[4] and head[1] == ARGV[3] then return 0 end
        if head[2] ~= ARGV[2] or head[1] ~= ARGV[1] then return 1 end
        if tonumber(head[3]) < tonumber(ARGV[5]) then return 3 end
        redis.call('HSET', KEYS[1], 'o', ARGV[3], 'e', ARGV[4], 'q', '0')
        redis.call('PEXPIRE', KEYS[1], ARGV[6])
        return 0
        """)

    /// Writes the lease of a node. Arguments: id, address, load, start, lease in ms, whether another id is replaced.
    static let announce = RedisScript(
        """
        local id = redis.call('HGET', KEYS[1], 'id')
        if id and id ~= ARGV[1] and ARGV[6] ~= '1' then return 0 end
        redis.call('HSET', KEYS[1], 'id', ARGV[1], 'address', ARGV[2], 'load', ARGV[3], 'started', ARGV[4])
        redis.call('PEXPIRE', KEYS[1], ARGV[5])
        return 1
        """)

    /// Ends the lease of a node. Argument: id.
    static let withdraw = RedisScript(
        """
        if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return 0 end
        return redis.call('DEL', KEYS[1])
        """)

    /// Replaces a string if it is unchanged. Arguments: the expected value (empty: none), the new value (empty: delete), time to live in ms.
    static let replace = RedisScript(
        """
        if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
        if ARGV[2] == '' then
          redis.call('DEL', KEYS[1])
        else
          redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
        end
        return 1
        """)
}
