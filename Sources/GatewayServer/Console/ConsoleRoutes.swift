// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// The routes of the console. They need no token, since the files contain no data of the gateway; the requests of the script do.
struct ConsoleRoutes: OperationsRouteGroup {
    let assets = Console.assets

    var routes: [OperationsRoute] { assets.map { OperationsRoute($0.path, [.get: .open]) } }

    func add(to router: Router<OperationsRequestContext>) {
        for asset in assets {
            router.get(RouterPath(asset.path)) { request, _ in Self.response(asset, to: request) }
        }
    }

    private static func response(_ asset: StaticAsset, to request: Request) -> Response {
        var headers: HTTPFields = [
            .contentType: asset.contentType, .eTag: asset.entityTag, .cacheControl: "no-cache",
            .contentSecurityPolicy: Console.policy,
        ]
        headers[.referrerPolicy] = "no-referrer"
        headers[.crossOriginOpenerPolicy] = "same-origin"
        if asset.isKnown(request.headers[.ifNoneMatch]) { return Response(status: .notModified, headers: headers) }
        return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: asset.body)))
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
