// SPDX-License-Identifier: Apache-2.0

import GatewayServer
import GatewayWebSocket
import Testing

@Suite struct CompressionOfferTests {
    /// Returns the extension header of the response; nil when no offer is accepted.
    private func responseHeader(_ fields: String..., mode: CompressionMode) throws -> String? {
        for offer in try CompressionOffer.offers(in: fields) {
            if let agreement = offer.agreement(mode) { return agreement.responseValue }
        }
        return nil
    }

    private static let noTakeover = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

    @Test(
        arguments: [
            ("permessage-deflate", noTakeover, "permessage-deflate"),
            ("permessage-deflate; client_max_window_bits", noTakeover, "permessage-deflate"),
            ("permessage-deflate; client_max_window_bits=11", noTakeover, "permessage-deflate; client_max_window_bits=11"),
            ("permessage-deflate; client_max_window_bits=8", noTakeover, "permessage-deflate; client_max_window_bits=8"),
            (
                "permessage-deflate;server_max_window_bits=9", noTakeover + "; server_max_window_bits=9",
                "permessage-deflate; server_max_window_bits=9"
            ),
            (
                "permessage-deflate; server_max_window_bits=15", noTakeover + "; server_max_window_bits=15",
                "permessage-deflate; server_max_window_bits=15"
            ),
            (
                "permessage-deflate; server_max_window_bits=\"10\"", noTakeover + "; server_max_window_bits=10",
                "permessage-deflate; server_max_window_bits=10"
            ),
            (
                "permessage-deflate; server_max_window_bits=\"1\\0\"", noTakeover + "; server_max_window_bits=10",
                "permessage-deflate; server_max_window_bits=10"
            ),
            ("permessage-deflate; server_no_context_takeover", noTakeover, "permessage-deflate; server_no_context_takeover"),
            ("permessage-deflate; client_no_context_takeover", noTakeover, "permessage-deflate; client_no_context_takeover"),
            (
                "permessage-deflate ; client_max_window_bits = 12 ; server_no_context_takeover", noTakeover,
                "permessage-deflate; server_no_context_takeover; client_max_window_bits=12"
            ),
            // As sent by Chrome and Firefox.
            (",, permessage-deflate; client_max_window_bits ,", noTakeover, "permessage-deflate"),
            ("x-webkit-deflate-frame, permessage-deflate", noTakeover, "permessage-deflate"),
            ("other; server_max_window_bits=99; q=\"v\", permessage-deflate", noTakeover, "permessage-deflate"),
        ] as [(String, String, String)])
    func `a valid offer is accepted according to the mode`(offer: String, shared: String, dedicated: String) throws {
        #expect(try responseHeader(offer, mode: .shared) == shared)
        #expect(try responseHeader(offer, mode: .dedicated) == dedicated)
        #expect(try responseHeader(offer, mode: .off) == nil)
    }

    @Test(arguments: [
        "permessage-deflate; unknown", "permessage-deflate; unknown=1", "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=true", "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7", "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=09", "permessage-deflate; server_max_window_bits=+9",
        "permessage-deflate; server_max_window_bits=x", "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=16", "permessage-deflate; client_max_window_bits=010",
        "permessage-deflate; client_max_window_bits=99999999999999999999",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
        "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        // zlib can't deflate with a window of 8 bits.
        "permessage-deflate; server_max_window_bits=8", "Permessage-Deflate", "permessage-deflate2", "deflate", "",
    ])
    func `an invalid offer is declined and the next one is considered`(offer: String) throws {
        #expect(try responseHeader(offer, mode: .shared) == nil)
        #expect(try responseHeader(offer, mode: .dedicated) == nil)
        #expect(try responseHeader(offer + ", permessage-deflate", mode: .dedicated) == "permessage-deflate")
        #expect(try responseHeader(offer, "permessage-deflate", mode: .shared) == Self.noTakeover)
    }

    @Test(arguments: [
        "permessage-deflate;", "permessage-deflate; ;", "; x", "=", "permessage-deflate; a=", "permessage-deflate; a=\"",
        "permessage-deflate; a=\"\"",
        "permessage-deflate; a=\"b c\"", "permessage-deflate; a=\"b\\", "permessage-deflate; a=b c", "permessage deflate",
        "permessage-deflate; a==b",
        "permessage-deflate\"", "a@b", "permessage-deflate; a=\"b\"c", "é",
    ])
    func `an extension header that violates the grammar fails the request`(value: String) {
        #expect(throws: UpgradeFailure.extensions) { try CompressionOffer.offers(in: [value]) }
        #expect(throws: UpgradeFailure.extensions) { try CompressionOffer.offers(in: ["permessage-deflate", value]) }
    }

    @Test func `an agreement gives context takeover and window bits by role`() throws {
        let agreement = CompressionAgreement(
            serverNoContextTakeover: true, clientNoContextTakeover: false, serverMaxWindowBits: 10, clientMaxWindowBits: nil)
        #expect(!agreement.usesContextTakeover(.server) && agreement.usesContextTakeover(.client))
        #expect(agreement.windowBits(.server) == 10 && agreement.windowBits(.client) == 15)
    }
}
