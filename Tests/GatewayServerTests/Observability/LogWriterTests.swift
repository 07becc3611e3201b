// SPDX-License-Identifier: Apache-2.0

import GatewayServer
import Glibc
import Testing

@Suite struct LogWriterTests {
    private func writer(_ pipe: Pipe, bytes: Int = 1 << 20, lines: Int = 8192) -> LogWriter {
        LogWriter(fileDescriptor: pipe.input, maximumBytes: bytes, maximumLines: lines) { Array("dropped \($0)\n".utf8) }
    }

    /// Returns a line larger than the pipe's capacity, which blocks the writer until the test reads.
    private func bigLine(_ letter: Character) -> [UInt8] {
        Array(String(repeating: letter, count: 2 * Pipe.capacity - 1).utf8) + [0x0A]
    }

    @Test func `lines are written whole and in order`() throws {
        let pipe = try Pipe()
        let writer = writer(pipe)
        for index in 0..<200 { writer.write(Array("line \(index)\n".utf8)) }
        for index in 0..<200 { #expect(pipe.readLine() == "line \(index)") }
        #expect(writer.close(within: .seconds(60)))
        #expect(writer.written == 200)
        #expect(writer.dropped == 0)
    }

    @Test func `lines from many threads are never interleaved`() async throws {
        let pipe = try Pipe()
        let writer = writer(pipe)
        var counts: [String: Int] = [:]
        await withTaskGroup(of: Void.self) { group in
            for letter in "abcd" {
                group.addTask {
                    for _ in 0..<500 { writer.write(Array("\(String(repeating: letter, count: 40))\n".utf8)) }
                }
            }
            await group.waitForAll()
        }
        for _ in 0..<2000 { counts[pipe.readLine() ?? "", default: 0] += 1 }
        #expect(counts.count == 4)
        #expect(counts.values.allSatisfy { $0 == 500 })
        #expect(writer.close(within: .seconds(60)))
    }

    @Test func `without a reader write returns at once; lines over the limit are dropped and reported later`() throws {
        let pipe = try Pipe()
        let writer = writer(pipe, lines: 4)
        for letter in "abcd" { writer.write(bigLine(letter)) }
        #expect(writer.dropped == 0)
        for _ in 0..<1000 { writer.write(Array("more\n".utf8)) }
        #expect(writer.dropped == 1000)
        #expect(!writer.flush(within: .zero))
        for letter in "abcd" { #expect(pipe.readLine()?.first == letter) }
        // In one notice or in two, depending on when the thread dequeued the first lines.
        var reported = 0
        while reported < 1000 {
            let notice = try #require(pipe.readLine())
            reported += try #require(Int(notice.dropFirst("dropped ".utf8.count)))
        }
        #expect(reported == 1000)
        #expect(writer.flush(within: .seconds(60)))
        writer.write(Array("after\n".utf8))
        #expect(pipe.readLine() == "after")
        #expect(writer.close(within: .seconds(60)))
        #expect(writer.written == 5)
        #expect(writer.dropped == 1000)
    }

    @Test func `the byte limit includes lines that are being written`() throws {
        let pipe = try Pipe()
        let size = bigLine("x").count
        let writer = writer(pipe, bytes: 3 * size)
        writer.write(bigLine("a"))
        writer.write(bigLine("b"))
        writer.write(Array(bigLine("c").dropFirst()))
        #expect(writer.dropped == 0)
        writer.write([0x0A])
        #expect(writer.dropped == 0)
        writer.write([0x0A])
        #expect(writer.dropped == 1)
        for letter in "abc" { #expect(pipe.readLine()?.first == letter) }
        #expect(pipe.readLine() == "")
        #expect(pipe.readLine() == "dropped 1")
        #expect(writer.close(within: .seconds(60)))
    }

    @Test func `a line larger than the whole queue is dropped and reported, and the next one is written`() throws {
        let pipe = try Pipe()
        let writer = writer(pipe, bytes: 10)
        writer.write(Array("0123456789\n".utf8))
        #expect(pipe.readLine() == "dropped 1")
        #expect(writer.flush(within: .seconds(60)))
        // The thread is waiting now: a line that doesn't fit must wake it, too.
        writer.write(Array("0123456789\n".utf8))
        #expect(pipe.readLine() == "dropped 1")
        writer.write(Array("012345678\n".utf8))
        #expect(pipe.readLine() == "012345678")
        #expect(writer.close(within: .seconds(60)))
        #expect(writer.written == 1)
        #expect(writer.dropped == 2)
    }

    @Test func `a closed pipe neither kills the process nor blocks the writer`() throws {
        let pipe = try Pipe()
        let writer = writer(pipe)
        pipe.closeOutput()
        for index in 1...3 {
            writer.write(Array("lost\n".utf8))
            #expect(writer.flush(within: .seconds(60)))
            #expect(writer.dropped == UInt64(index))
        }
        #expect(writer.written == 0)
        #expect(writer.close(within: .seconds(60)))
    }

    @Test func `a blocked writer continues when its reader closes the pipe`() throws {
        let pipe = try Pipe()
        let writer = writer(pipe)
        writer.write(bigLine("a"))
        #expect(!writer.flush(within: .milliseconds(1)))
        pipe.closeOutput()
        #expect(writer.close(within: .seconds(60)))
        #expect(writer.dropped == 1)
    }

    @Test func `a partly written line is ended before the next reader's first line`() throws {
        var template = Array((P_tmpdir + "/parley-log-XXXXXX").utf8CString)
        #expect(mkdtemp(&template) != nil)
        let directory = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let path = directory + "/fifo"
        defer {
            unlink(path)
            rmdir(directory)
        }
        #expect(mkfifo(path, 0o600) == 0)
        let first = Pipe(output: open(path, O_RDONLY | O_NONBLOCK), input: open(path, O_WRONLY))
        #expect(fcntl(first.input, 1031, Int32(Pipe.capacity)) == Pipe.capacity)
        let writer = writer(first)
        writer.write(bigLine("a"))
        // Reading one byte of a full page frees no room, so only half of the line is written.
        var waits = pollfd(fd: first.output, events: Int16(POLLIN), revents: 0)
        #expect(poll(&waits, 1, 60_000) == 1)
        #expect(first.readSome(1))
        first.closeOutput()
        #expect(writer.flush(within: .seconds(60)))
        #expect(writer.dropped == 1)
        let second = Pipe(output: open(path, O_RDWR), input: -1)
        writer.write(Array("next\n".utf8))
        #expect(second.readLine()?.allSatisfy { $0 == "a" } == true)
        #expect(second.readLine() == "next")
        #expect(second.readLine() == "dropped 1")
        #expect(writer.close(within: .seconds(60)))
    }

    @Test func `a non-blocking descriptor loses no lines`() throws {
        let pipe = try Pipe()
        #expect(fcntl(pipe.input, F_SETFL, O_NONBLOCK) == 0)
        let writer = writer(pipe)
        for letter in "abcdefgh" { writer.write(bigLine(letter)) }
        for letter in "abcdefgh" { #expect(pipe.readLine()?.first == letter) }
        #expect(writer.close(within: .seconds(60)))
        #expect(writer.dropped == 0)
    }

    @Test func `a closed writer writes the queued lines and drops further ones`() throws {
        let pipe = try Pipe()
        let writer = writer(pipe)
        writer.write(Array("last\n".utf8))
        #expect(writer.close(within: .seconds(60)))
        writer.write(Array("too late\n".utf8))
        #expect(writer.dropped == 1)
        #expect(writer.written == 1)
        #expect(writer.flush(within: .zero))
        pipe.closeInput()
        #expect(pipe.readLine() == "last")
        #expect(pipe.readLine() == nil)
    }
}
