// SPDX-License-Identifier: Apache-2.0

import GatewayServer
import Logging
import Testing

@Suite struct LogsTests {
    private struct Failure: Error, CustomStringConvertible {
        var description: String { "it broke" }
    }

    /// Returns the line without its time, which varies.
    private func tail(_ line: String?) -> String {
        guard let line, line.hasPrefix("{\"ts\":\"20"), line.utf8.count > 33 else { return line ?? "nothing" }
        return String(line.dropFirst(33))
    }

    @Test func `lines are JSON with the metadata of the logger and of the statement`() throws {
        let pipe = try Pipe()
        let logs = Logs(format: .json, level: .info, fileDescriptor: pipe.input)
        var logger = Logger(label: "parley.test") { logs.handler(label: $0) }
        logger[metadataKey: "connection_id"] = "01C"
        logger.info("opened", metadata: ["port": .stringConvertible(8443)])
        logger.debug("unseen")
        logger.error("failed", error: Failure())
        #expect(tail(pipe.readLine()) == #""level":"info","logger":"parley.test","msg":"opened","connection_id":"01C","port":8443}"#)
        let failed = tail(pipe.readLine())
        #expect(
            failed.hasPrefix(
                #""level":"error","logger":"parley.test","msg":"failed","connection_id":"01C","error.message":"it broke","error.type":""#))
        #expect(logs.flush(within: .seconds(60)))
        #expect(logs.written == 2)
        #expect(logs.close(within: .seconds(60)))
    }

    @Test func `a new level applies to existing loggers, except for one with its own level`() throws {
        let pipe = try Pipe()
        let logs = Logs(format: .json, level: .warning, fileDescriptor: pipe.input)
        let shared = Logger(label: "shared") { logs.handler(label: $0) }
        var own = shared
        own.logLevel = .error
        shared.info("1")
        logs.setLevel(.trace)
        #expect(logs.level == .trace)
        #expect(shared.logLevel == .trace)
        shared.trace("2")
        own.warning("3")
        own.error("4")
        for level in Logger.Level.allCases {
            logs.setLevel(level)
            #expect(shared.logLevel == level)
        }
        #expect(logs.close(within: .seconds(60)))
        pipe.closeInput()
        #expect(tail(pipe.readLine()).contains(#""msg":"2""#))
        #expect(tail(pipe.readLine()).contains(#""msg":"4""#))
        #expect(pipe.readLine() == nil)
    }

    @Test func `metadata of the statement overrides the provider's, which overrides the logger's`() throws {
        let pipe = try Pipe()
        let logs = Logs(format: .json, level: .info, fileDescriptor: pipe.input)
        var handler = logs.handler(label: "l")
        handler.metadataProvider = Logger.MetadataProvider { ["a": "provider", "b": "provider"] }
        handler[metadataKey: "a"] = "logger"
        handler[metadataKey: "c"] = "logger"
        Logger(label: "l") { [handler] _ in handler }.info("m", metadata: ["b": "statement"])
        #expect(tail(pipe.readLine()) == #""level":"info","logger":"l","msg":"m","a":"provider","b":"statement","c":"logger"}"#)
        #expect(logs.close(within: .seconds(60)))
    }

    @Test func `dropped lines are reported in the log's format`() throws {
        let pipe = try Pipe()
        let logs = Logs(format: .json, level: .info, fileDescriptor: pipe.input, maximumBytes: 40)
        let logger = Logger(label: "l") { logs.handler(label: $0) }
        logger.info("does not fit")
        #expect(logs.dropped == 1)
        #expect(tail(pipe.readLine()) == #""level":"warning","logger":"parley.log","msg":"log lines dropped","count":1}"#)
        #expect(logs.close(within: .seconds(60)))
    }

    @Test func `the console format has no colors on a pipe`() throws {
        let pipe = try Pipe()
        let logs = Logs(format: .console, level: .info, fileDescriptor: pipe.input)
        Logger(label: "parley") { logs.handler(label: $0) }.info("listening", metadata: ["port": .stringConvertible(8443)])
        #expect(pipe.readLine()?.dropFirst(12) == " INFO  parley: listening port=8443")
        #expect(logs.close(within: .seconds(60)))
    }
}
