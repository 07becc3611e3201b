// SPDX-License-Identifier: Apache-2.0

import GatewayRedis
import NIOCore
import Testing

@Suite("Commands of Redis") struct RedisCommandTests {
    private static func encoded(_ command: RedisCommand) -> String {
        var buffer = ByteBuffer()
        command.write(to: &buffer)
        #expect(buffer.readableBytes == command.byteCount)
        return String(buffer: buffer)
    }

    @Test func `a command is an array of bulk strings`() {
        var command = RedisCommand("SET")
        command.append(key: "ключ")
        command.append([0, 13, 10, 255])
        command.append([1, 2, 3, 4][1..<3])
        command.append("EX")
        command.append(-42)
        command.append(UInt64.max)
        var buffer = ByteBuffer()
        command.write(to: &buffer)
        let expected =
            Array("*7\r\n$3\r\nSET\r\n$8\r\nключ\r\n$4\r\n".utf8) + [0, 13, 10, 255] + Array("\r\n$2\r\n".utf8) + [2, 3]
            + Array("\r\n$2\r\nEX\r\n$3\r\n-42\r\n$20\r\n18446744073709551615\r\n".utf8)
        #expect(Array(buffer.readableBytesView) == expected)
        #expect(command.byteCount == expected.count)
    }

    @Test(arguments: [0, 9, 10, 99, 100]) func `counts of arguments have the right number of digits`(count: Int) {
        var command = RedisCommand("MGET")
        for _ in 0..<count { command.append("") }
        #expect(Self.encoded(command).hasPrefix("*\(count + 1)\r\n"))
    }

    @Test func `the slot is that of the first key`() {
        #expect(RedisCommand("PING").slot == nil)
        var command = RedisCommand("MGET")
        command.append(key: "foo")
        command.append(key: "bar")
        #expect(command.slot == 12182)
        #expect(RedisCommand(evaluating: RedisScript("return 1"), key: Array("foo".utf8)).slot == 12182)
        #expect(RedisCommand.wait(replicas: 1, timeout: .seconds(1), key: Array("foo".utf8)).slot == 12182)
    }

    @Test func `WAIT never waits without a limit`() {
        #expect(Self.encoded(.wait(replicas: 2, timeout: .zero, key: nil)) == "*3\r\n$4\r\nWAIT\r\n$1\r\n2\r\n$1\r\n1\r\n")
        #expect(Self.encoded(.wait(replicas: 1, timeout: .seconds(3), key: nil)).hasSuffix("$4\r\n3000\r\n"))
    }

    @Test func `a script is evaluated by the SHA-1 of its source`() {
        let script = RedisScript("return 1")
        #expect(script.digest == "e0e1f9fabfc9d4800c877a703b823ac0578ff8db")
        #expect(
            Self.encoded(RedisCommand(evaluating: script, key: [0x6B]))
                == "*4\r\n$7\r\nEVALSHA\r\n$40\r\n\(script.digest)\r\n$1\r\n1\r\n$1\r\nk\r\n")
    }

    // The slots of Redis: `CLUSTER KEYSLOT`.
    @Test(arguments: [
        ("", 0), ("foo", 12182), ("bar", 5061), ("123456789", 12739), ("{user1000}.following", 3443), ("{user1000}.followers", 3443),
        ("user1000", 3443), ("foo{}{bar}", 8363), ("foo{{bar}}zap", 4015), ("foo{bar}{zap}", 5061), ("foo{bar", 15278), ("}foo{bar}", 5061),
    ]) func `the slot of a key is that of Redis Cluster`(key: String, slot: Int) {
        #expect(KeySlot.slot(of: Array(key.utf8)) == slot)
    }

    @Test func `errors are classified`() {
        func error(_ code: String) -> RedisError { RedisError(code: code, text: "") }
        for code in ["LOADING", "MASTERDOWN", "READONLY", "OOM", "NOREPLICAS", "MISCONF", "BUSY", "TRYAGAIN", "CLUSTERDOWN"] {
            #expect(error(code).isTemporary, "\(code)")
        }
        for code in ["ERR", "WRONGTYPE", "NOPERM", "CROSSSLOT", "NOSCRIPT"] { #expect(!error(code).isTemporary, "\(code)") }
        #expect(error("READONLY").requiresRediscovery && error("MASTERDOWN").requiresRediscovery)
        #expect(!error("OOM").requiresRediscovery)
        #expect(error("WRONGPASS").isAuthorization && error("NOAUTH").isAuthorization && error("NOPERM").isAuthorization)
    }
}
