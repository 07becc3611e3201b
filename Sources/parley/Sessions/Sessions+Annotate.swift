import ArgumentParser
import Foundation
import GatewayServer

extension Sessions {
    struct Annotate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a session a title, tags and notes, or take them away. Other fields stay.", aliases: ["note", "tag", "set"])

        @OptionGroup var gateway: GatewayOptions
        @Argument(help: "The session's id.") var session: String
        @Option(help: ArgumentHelp("A title of at most \(SessionAnnotation.longestTitle) characters.", valueName: "text")) var title:
            String?
        @Option(
            help: ArgumentHelp(
                "A tag; may be repeated, to \(SessionAnnotation.mostTags). The tags before are replaced.", valueName: "text"))
        var tag: [String] = []
        @Option(
            help: ArgumentHelp(
                "Notes of at most \(SessionAnnotation.longestNotes) characters; - reads them from standard input.", valueName: "text"))
        var notes: String?
        @Flag(help: "Take the title away.") var noTitle = false
        @Flag(help: "Take all tags away.") var noTags = false
        @Flag(help: "Take the notes away.") var noNotes = false

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
                throw ValidationError("nothing is named: there are --title, --tag, --notes, --no-title, --no-tags and --no-notes")
            }
            guard !(title != nil && noTitle), !(notes != nil && noNotes), tag.isEmpty || !noTags else {
                throw ValidationError("a field can't be set and taken away at once")
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

        /// More than notes can have isn't read: the gateway refuses it.
        private static func standardInput() -> String {
            var bytes: [UInt8] = []
            while bytes.count <= SessionAnnotation.longestNotes * 4 {
                let part = Descriptor.read(STDIN_FILENO)
                if part.isEmpty { break }
                bytes += part
            }
            if bytes.last == 0x0A { bytes.removeLast() }
            return String(decoding: bytes, as: UTF8.self)
        }
    }
}
