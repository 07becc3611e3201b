// SPDX-License-Identifier: Apache-2.0

/// The files of the browser client and of the demo page.
package enum ParleyJS {
    package static var client: [UInt8] { PackageResources.parley_js }
    /// The part of the client that is loaded with the first audio.
    package static var audio: [UInt8] { PackageResources.parley_audio_js }
    package static var demoPage: [UInt8] { PackageResources.index_html }
    package static var demoStyle: [UInt8] { PackageResources.demo_css }
    package static var demoScript: [UInt8] { PackageResources.demo_js }
}
