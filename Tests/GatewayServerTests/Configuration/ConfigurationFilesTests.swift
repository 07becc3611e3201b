// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import Synchronization
import Testing

@testable import GatewayServer

@Suite("The files of the configuration")
struct ConfigurationFilesTests {
    @Test(arguments: ["--config", "PARLEY_CONFIG"])
    func `an explicit directory must exist, and YAML files with other names in it are a problem`(by source: String)
        throws
    {
        let directory = try ConfigurationDirectory(["other.txt": ""])
        func problems(_ path: String, _ more: [String] = []) throws -> [ConfigurationProblem] {
            source == "--config"
                ? try configurationProblems(["--config", path] + more) : try configurationProblems(more, ["PARLEY_CONFIG": path])
        }
        let missing = try problems(directory.path + "/nowhere")
        #expect(
            missing == [
                ConfigurationProblem(
                    key: "config", value: directory.path + "/nowhere", source: source, allowed: "the path of a directory",
                    hint: "there is no such directory")
            ])
        // An empty directory is allowed, with a warning.
        #expect(try problems(directory.path) == [])
        let empty = try loadConfiguration(["--config", directory.path])
        #expect(
            empty.warnings == [
                "\(directory.path) (--config): the directory has no gateway.yaml or development.yaml; the built-in defaults apply"
            ])
        try directory.write("", to: "gateway.yml")
        #expect(
            try problems(directory.path) == [
                ConfigurationProblem(
                    key: "config", value: directory.path, source: source,
                    allowed: "a directory with gateway.yaml or development.yaml in it",
                    hint: "\(directory.path)/gateway.yml isn't read; did you mean gateway.yaml?")
            ])
        try FileManager.default.removeItem(atPath: directory.path + "/gateway.yml")
        // Without --environment, the gateway would start as development.
        try directory.write("", to: "production.yaml")
        #expect(try problems(directory.path).map(\.hint) == ["there is production.yaml, which is read with --environment production"])
        #expect(try problems(directory.path).map(\.key) == ["config"])
        try directory.write("", to: "development.yaml")
        #expect(try problems(directory.path) == [])
        #expect(try problems(directory.path + "/development.yaml").map(\.hint) == ["name its directory: \(directory.path)"])
    }

    @Test func `the default directory may be missing or empty`() throws {
        #expect(try ConfigurationDirectory().problems() == [])
        let loaded = try ConfigurationLoader.load(arguments: [], environment: [:], directory: "/nowhere/at/all")
        #expect(loaded.files == [])
        #expect(loaded.filesRead == "none in /nowhere/at/all")
    }

    @Test func `the files that were read are listed, without those of other environments`() throws {
        let directory = try ConfigurationDirectory(["gateway.yaml": "{}", "development.yaml": "", "production.yaml": ""])
        let loaded = try directory.load()
        #expect(
            loaded.files == [
                .init(path: "\(directory.path)/gateway.yaml", isEmpty: false),
                .init(path: "\(directory.path)/development.yaml", isEmpty: true),
            ])
        #expect(loaded.filesRead == "\(directory.path)/gateway.yaml, \(directory.path)/development.yaml")
        #expect(loaded.warnings == [])
        let wrong = try ConfigurationDirectory(["gateway.yaml": "x: 1"])
        #expect(throws: ConfigurationError.self) { try wrong.load() }
        do throws(ConfigurationError) { _ = try wrong.load() } catch { #expect(error.files == ["\(wrong.path)/gateway.yaml"]) }
    }

    @Test(
        arguments: [
            ("gateway.yml", "did you mean gateway.yaml?"), ("Gateway.yaml", "did you mean gateway.yaml?"),
            ("production.yml", "did you mean production.yaml?"), ("prodution.yaml", "did you mean production.yaml?"),
            ("parley.yaml", "the files are gateway.yaml and the environment's, such as production.yaml"),
        ])
    func `a YAML file that isn't read is a warning with a hint`(name: String, hint: String) throws {
        let directory = try ConfigurationDirectory([name: "sessions.max: 1"])
        #expect(try directory.load().warnings.count == 1)
        #expect(try directory.load().warnings[0].hasPrefix("\(directory.path)/\(name) isn't read"))
        #expect(try directory.load().warnings[0].hasSuffix(hint))
        // If there are no other files, the hint is part of the problem.
        #expect(try configurationProblems(["--config", directory.path])[0].hint?.hasSuffix(hint) == true)
    }

    @Test func `other files and hidden files cause no warning, and many files at most eight`() throws {
        var files = ["README.md": "", ".gateway.yml": "", "cert.pem": "", "gateway.yaml.bak": ""]
        #expect(try ConfigurationDirectory(files).load().warnings == [])
        for number in 0..<20 { files["x\(number).yaml"] = "" }
        #expect(try ConfigurationDirectory(files).load().warnings.count == 8)
    }

    // MARK: While the gateway runs

    @Test func `a file that is missing, empty or unreadable prevents a reload`() throws {
        let directory = try ConfigurationDirectory(["gateway.yaml": "sessions.max: 1", "development.yaml": "sessions.idle: 1m"])
        let running = try directory.load()
        let file = directory.path + "/gateway.yaml"
        #expect(try directory.load().unavailableFiles(since: running) == [])
        try FileManager.default.removeItem(atPath: file)
        let unavailableFiles = try directory.load().unavailableFiles(since: running)
        #expect(unavailableFiles.map(\.key) == [file])
        #expect(unavailableFiles.map(\.hint) == ["the file is missing"])
        try directory.write("", to: "gateway.yaml")
        #expect(try directory.load().unavailableFiles(since: running).map(\.hint) == ["the file is empty"])
        // A file with a comment isn't empty.
        try directory.write("# nothing", to: "gateway.yaml")
        #expect(try directory.load().unavailableFiles(since: running) == [])
        try FileManager.default.removeItem(atPath: file)
        try FileManager.default.createDirectory(atPath: file, withIntermediateDirectories: false)
        #expect(directory.problems().map(\.hint) == ["not a regular file"])
        try FileManager.default.removeItem(atPath: directory.path)
        #expect(try directory.load().unavailableFiles(since: running).count == 2)
    }

    @Test func `a file that was empty or missing may remain so, or appear`() throws {
        let directory = try ConfigurationDirectory(["gateway.yaml": ""])
        let running = try directory.load()
        #expect(try directory.load().unavailableFiles(since: running) == [])
        try directory.write("sessions.max: 3", to: "development.yaml")
        #expect(try directory.load().unavailableFiles(since: running) == [])
        #expect(try directory.load().configuration.sessions.max == 3)
    }

    @Test func `a change is complete when two checks in a row find the same fingerprint`() throws {
        let directory = try ConfigurationDirectory(["a": "1"])
        func fingerprint() -> ConfigurationFingerprint { ConfigurationFingerprint(of: [directory.path + "/a"]) }
        let known = fingerprint()
        var watch = FileWatch()
        func hasChanged() -> Bool { watch.hasChanged(fingerprint(), from: known) }
        #expect(!hasChanged())
        #expect(!watch.isSettling)
        // Missing for a moment, as during a replacement: not a change.
        let aside = directory.path + "/b"
        try FileManager.default.moveItem(atPath: directory.path + "/a", toPath: aside)
        #expect(!hasChanged())
        #expect(watch.isSettling)
        try FileManager.default.moveItem(atPath: aside, toPath: directory.path + "/a")
        #expect(!hasChanged())
        #expect(!watch.isSettling)
        // Written in two steps.
        try directory.write("", to: "a")
        #expect(!hasChanged())
        try directory.write("12", to: "a")
        #expect(!hasChanged())
        #expect(hasChanged())
        #expect(!watch.isSettling)
    }

    @Test func `files that keep changing are read after the maximum number of checks`() throws {
        let directory = try ConfigurationDirectory()
        let known = ConfigurationFingerprint(of: [directory.path + "/a"])
        var watch = FileWatch()
        var seen: [Bool] = []
        for length in 1...FileWatch.maximumChecks {
            try directory.write(String(repeating: "x", count: length), to: "a")
            seen.append(watch.hasChanged(ConfigurationFingerprint(of: [directory.path + "/a"]), from: known))
        }
        #expect(seen == Array(repeating: false, count: FileWatch.maximumChecks - 1) + [true])
    }

    @Test func `a rejected reload is retried without another change until it succeeds`() async throws {
        let directory = try ConfigurationDirectory(["gateway.yaml": "sessions.max_detached: 3"])
        let loaded = try directory.load()
        let problem = ConfigurationProblem(
            key: "gateway.yaml", value: nil, source: "gateway.yaml", allowed: "a readable file", hint: "too many open files")
        let isReadable = Mutex(false)
        let service = ConfigurationService(
            loaded: loaded, target: .init(certificates: { _ in }, apply: { _ in }), logger: Logger(label: "test"),
            load: { () throws(ConfigurationError) in
                guard isReadable.withLock({ $0 }) else { throw ConfigurationError(problems: [problem]) }
                return loaded
            })
        var watch = FileWatch()
        #expect(await service.reload(because: "SIGHUP").problems.count == 1)
        await service.checkFiles(&watch)
        #expect(service.rejection != nil)
        isReadable.withLock { $0 = true }
        await service.checkFiles(&watch)
        #expect(service.rejection == nil)
    }
}
