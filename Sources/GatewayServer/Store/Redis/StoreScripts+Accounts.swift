// SPDX-License-Identifier: Apache-2.0

import GatewayRedis

/// The scripts for usage and tokens.
extension StoreScripts {
    /// Adds amounts to the usage of a user on a day, once: the hash keeps the serial number of each node's last addition.
    ///
    /// Arguments: node, serial number, time to live in ms, then fields and amounts. Replies with the totals of the day.
    static let addUsage = RedisScript(
        """
        local node = '#' .. ARGV[1]
        local last = redis.call('HGET', KEYS[1], node)
        if last and tonumber(last) >= tonumber(ARGV[2]) then
          redis.call('HSET', KEYS[1], node, last)
        else
          redis.call('HSET', KEYS[1], node, ARGV[2])
          for index = 4, #ARGV, 2 do redis.pcall('HINCRBY', KEYS[1], ARGV[index], ARGV[index + 1]) end
          if not last then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
        end
        return redis.call('HMGET', KEYS[1], 'm', 'i', 'o', 't', 'u', 'c')
        """)

    /// Records how often a token was used, if that is more than before. Arguments: number of uses, end in Unix ms.
    static let useToken = RedisScript(
        """
        local spent = redis.call('HGET', KEYS[1], 's')
        if not spent or tonumber(spent) < tonumber(ARGV[1]) then redis.call('HSET', KEYS[1], 's', ARGV[1]) end
        redis.call('PEXPIREAT', KEYS[1], ARGV[2])
        return 0
        """)

    /// Spends one use of a token. Arguments: maximum number of uses, end in Unix ms. Replies with the number of uses; 0 if none was left.
    static let spendToken = RedisScript(
        """
        local spent = tonumber(redis.call('HGET', KEYS[1], 's') or '0')
        if spent >= tonumber(ARGV[1]) then return 0 end
        spent = redis.call('HINCRBY', KEYS[1], 's', 1)
        redis.call('PEXPIREAT', KEYS[1], ARGV[2])
        return spent
        """)

    /// Returns a use of a token. No arguments.
    static let refundToken = RedisScript(
        """
        if tonumber(redis.call('HGET', KEYS[1], 's') or '0') > 0 then redis.call('HINCRBY', KEYS[1], 's', -1) end
        return 0
        """)

    /// Records the time of a revocation for the other nodes, for a day. Argument: user.
    static let recordRevocation = RedisScript(
        """
        local time = redis.call('TIME')
        local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
        redis.call('ZADD', KEYS[1], now, ARGV[1])
        redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 86400000)
        return 0
        """)

    /// Stores a key unless there is one, and replies with the stored one. Arguments: `kid`, PEM.
    static let keepKey = RedisScript(
        """
        if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('HSET', KEYS[1], 'kid', ARGV[1], 'pem', ARGV[2]) end
        return redis.call('HMGET', KEYS[1], 'kid', 'pem')
        """)

    /// Records a revocation. The later times are kept. Arguments: tokens issued before this Unix ms are revoked, end in Unix ms.
    static let revoke = RedisScript(
        """
        local before = redis.call('HMGET', KEYS[1], 'b', 'u')
        local limit, stop = tonumber(ARGV[1]), tonumber(ARGV[2])
        if before[1] then limit = math.max(limit, tonumber(before[1])) end
        if before[2] then stop = math.max(stop, tonumber(before[2])) end
        redis.call('HSET', KEYS[1], 'b', string.format('%.0f', limit), 'u', string.format('%.0f', stop))
        redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', stop))
        return 0
        """)
}
