// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// The routes of the console. They need no token, since the files contain no data of the gateway; the requests of the script do.
struct ConsoleRoutes: OperationsRouteGroup {
    let assets = ConsoleAsset.all

    var routes: [OperationsRoute] { assets.map { OperationsRoute($0.path, [.get: .open]) } }

    func add(to router: Router<OperationsRequestContext>) {
        for asset in assets {
            router.get(RouterPath(asset.path)) { request, _ in Self.response(asset, to: request) }
        }
    }

    private static func response(_ asset: ConsoleAsset, to request: Request) -> Response {
        var headers: HTTPFields = [
            .contentType: asset.contentType, .eTag: asset.entityTag, .cacheControl: "no-cache",
            .contentSecurityPolicy: ConsoleAsset.policy,
        ]
        headers[.referrerPolicy] = "no-referrer"
        headers[.crossOriginOpenerPolicy] = "same-origin"
        let known = request.headers[.ifNoneMatch]?.split(separator: ",").map { $0.trimming { $0 == " " } } ?? []
        if known.contains(where: { $0 == asset.entityTag || $0 == "W/" + asset.entityTag || $0 == "*" }) {
            return Response(status: .notModified, headers: headers)
        }
        return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: asset.body)))
    }
}

extension StringProtocol {
    /// Returns the text without the leading and trailing characters that match.
    fileprivate func trimming(_ matches: (Character) -> Bool) -> String {
        String(String(drop(while: matches).reversed()).drop(while: matches).reversed())
    }
}

extension HTTPField.Name {
    fileprivate static var referrerPolicy: HTTPField.Name { referrerPolicyName }
    fileprivate static var crossOriginOpenerPolicy: HTTPField.Name { openerPolicyName }

    private static let referrerPolicyName = HTTPField.Name("Referrer-Policy") ?? .xContentTypeOptions
    private static let openerPolicyName = HTTPField.Name("Cross-Origin-Opener-Policy") ?? .xContentTypeOptions
}

extension OperationsFeature {
    /// The console in the browser.
    package static var console: OperationsFeature { OperationsFeature(ConsoleRoutes()) }
}
