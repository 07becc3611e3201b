// SPDX-License-Identifier: Apache-2.0

extension ConfigurationRules {
    mutating func checkCluster() {
        let cluster = configuration.cluster
        if let advertise = cluster.advertise, advertise.isWildcard || advertise.port == 0 {
            reject(
                "cluster.advertise", allowed: "an address and port that other nodes can connect to, such as 10.0.0.5:9465",
                example: "cluster.advertise: 10.0.0.5:9465")
        }
        guard let listen = cluster.listen else { return }
        let files = [
            ("cluster.tls.certificate", cluster.certificate), ("cluster.tls.key", cluster.key), ("cluster.tls.ca", cluster.authority),
        ]
        let names = files.map(\.0)
        if cluster.secret == nil, files.allSatisfy({ $0.1 == nil }) {
            reject(
                "cluster.listen", with: names + ["cluster.secret"],
                allowed: "off, unless cluster.secret, or cluster.tls.certificate, cluster.tls.key and cluster.tls.ca are set",
                example: "PARLEY_CLUSTER_SECRET_FILE=/etc/parley/credentials/cluster-secret")
        }
        if files.contains(where: { $0.1 != nil }) {
            for (name, path) in files where path == nil {
                reject(name, with: names, allowed: "a file, because another key of cluster.tls is set")
            }
        }
        if listen.isWildcard, cluster.advertise == nil {
            reject(
                "cluster.advertise", with: ["cluster.listen"],
                allowed: "an address that other nodes can connect to, because cluster.listen (\(listen)) is a wildcard",
                example: "cluster.advertise: 10.0.0.5:9465")
        }
    }
}
