// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import GatewayServer

extension Sessions {
    struct Annotate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Set or remove a session's title, tags and notes; other fields are unchanged.", aliases: ["note", "tag", "set"])

        @OptionGroup var gateway: GatewayOptions
        @Argument(help: "The session's id.") var session: String
        @Option(help: ArgumentHelp("A title of at most \(SessionAnnotation.maximumTitleLength) characters.", valueName: "text")) var title:
            String?
        @Option(
            help: ArgumentHelp(
                "A tag; repeat for up to \(SessionAnnotation.maximumTags) tags. They replace the existing tags.", valueName: "text"))
        var tag: [String] = []
        @Option(
            help: ArgumentHelp(
                "Notes of at most \(SessionAnnotation.maximumNotesLength) characters; - reads them from standard input.", valueName: "text")
        )
        var notes: String?
        @Flag(help: "Remove the title.") var noTitle = false
        @Flag(help: "Remove all tags.") var noTags = false
        @Flag(help: "Remove the notes.") var noNotes = false

        private enum Field: Encodable {
            case null
            case text(String)
            case list([String])

            func encode(to encoder: any Encoder) throws {
                var container = encoder.singleValueContainer()
                switch self {
                case .null: try container.encodeNil()
                case .text(let text): try container.encode(text)
                case .list(let list): try container.encode(list)
                }
            }
        }

        func validate() throws {
            guard title != nil || notes != nil || !tag.isEmpty || noTitle || noTags || noNotes else {
                throw ValidationError("no field given; use --title, --tag, --notes, --no-title, --no-tags or --no-notes")
            }
            guard !(title != nil && noTitle), !(notes != nil && noNotes), tag.isEmpty || !noTags else {
                throw ValidationError("a field can't be both set and removed; use one of the two options")
            }
        }

        func run() async throws {
            var fields: [String: Field] = [:]
            if let title { fields["title"] = .text(title) }
            if noTitle { fields["title"] = Field.null }
            if !tag.isEmpty { fields["tags"] = .list(tag) }
            if noTags { fields["tags"] = Field.null }
            if let notes { fields["notes"] = .text(notes == "-" ? Self.standardInput() : notes) }
            if noNotes { fields["notes"] = Field.null }
            let patch = try JSONEncoder().encode(fields)
            try await gateway.perform { client in
                try await client.patch("/v1/sessions/" + Sessions.checked(session), patch)
                print("\(session) annotated")
            }
        }

        /// Reads the notes from standard input, at most a little more than the maximum length: the gateway rejects longer notes.
        private static func standardInput() -> String {
            var bytes: [UInt8] = []
            while bytes.count <= SessionAnnotation.maximumNotesLength * 4 {
                let part = Descriptor.read(STDIN_FILENO)
                if part.isEmpty { break }
                bytes += part
            }
            if bytes.last == 0x0A { bytes.removeLast() }
            return String(decoding: bytes, as: UTF8.self)
        }
    }
}
