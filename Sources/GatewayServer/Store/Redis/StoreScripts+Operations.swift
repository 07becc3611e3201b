// SPDX-License-Identifier: Apache-2.0

import GatewayRedis

/// The script for idempotency keys.
extension StoreScripts {
    /// Begins a request. Arguments: digest of the request, node, time to live in ms.
    ///
    /// Replies with 1 if it is new, 2 if the key belongs to another request, otherwise with its node and, if it has ended, the answer.
    static let beginRequest = RedisScript(
        """
        local known = redis.call('HMGET', KEYS[1], 'd', 'n', 'a')
        if not known[1] then
          redis.call('HSET', KEYS[1], 'd', ARGV[1], 'n', ARGV[2])
          redis.call('PEXPIRE', KEYS[1], ARGV[3])
          return 1
        end
        if known[1] ~= ARGV[1] then return 2 end
        if known[3] then return {known[2], known[3]} end
        return {known[2]}
        """)
}
