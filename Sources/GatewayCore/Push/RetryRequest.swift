// SPDX-License-Identifier: Apache-2.0

/// A request to retry undelivered pushes: `{"ids": ["…"]}` with 1 to ``maximumCount`` ids.
package struct RetryRequest: Sendable {
    package static let maximumCount = 1000

    package let ids: [ULID]

    package init(json: [UInt8]) throws(PushRequest.Fault) {
        let document: StrictJSON
        do throws(StrictJSON.Fault) {
            document = try StrictJSON(json)
        } catch {
            throw PushRequest.Fault("the body must be a JSON object")
        }
        guard (document.members(of: document.root) ?? []).allSatisfy({ $0.name == "ids" }) else {
            throw PushRequest.Fault("unknown member; the only member is ids")
        }
        let texts = document.member("ids").flatMap { document.strings($0, atMost: Self.maximumCount, ofBytes: 26) }
        let ids = texts?.compactMap { ULID($0) }
        guard let texts, let ids, !ids.isEmpty, ids.count == texts.count else {
            throw PushRequest.Fault("ids must be an array of 1 to \(Self.maximumCount) ids of undelivered pushes")
        }
        self.ids = ids
    }
}
