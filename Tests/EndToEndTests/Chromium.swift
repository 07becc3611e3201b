// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support

/// Debian's browser, without a window.
enum Chromium {
    /// Opens a page, and returns the lines of its document after its scripts have run. Any certificate is accepted.
    ///
    /// - Parameter profile: the name of the browser's profile, which is kept in `directory`
    static func document(of url: String, directory: TemporaryDirectory, profile: String = "profile") async throws -> [String] {
        let browser = "/usr/bin/chromium"
        guard FileManager.default.isExecutableFile(atPath: browser) else {
            throw TestFailure("there is no \(browser): run deploy/test.sh, which installs it")
        }
        let page = try ChildProcess(
            browser,
            [
                "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--ignore-certificate-errors",
                "--user-data-dir=\(directory.path)/\(profile)", "--timeout=40000", "--dump-dom", url,
            ], directory: directory.path, environment: ["HOME": directory.path])
        let status = try await page.exit(timeout: .seconds(60))
        guard status == 0 else { throw TestFailure("\(browser) exited with \(status): \(page.errorLines.suffix(5))") }
        return page.lines
    }
}
