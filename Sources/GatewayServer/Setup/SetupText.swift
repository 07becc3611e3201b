// SPDX-License-Identifier: Apache-2.0

/// The texts of the files that ``SetupPlan`` writes.
enum SetupText {
    static func gateway(_ options: SetupOptions) -> String {
        """
        \(SetupPlan.mark): settings of all environments. "parley config keys" lists every key with its default.

        \(upstream(options.upstream))
        """
    }

    private static func upstream(_ upstream: SetupUpstream?) -> String {
        guard let upstream else {
            return """
                # Without upstreams all requests go to the built-in loopback, which returns them.
                #
                # upstreams:
                #   main:
                #     kind: openai
                #     urls: [http://127.0.0.1:8000/v1]
                #     model: qwen3
                # routes:
                #   all:
                #     upstreams: [main]

                """
        }
        let model = upstream.model.isEmpty ? "" : "    model: \(quoted(upstream.model))\n"
        return """
            # If the upstream requires a key, put it into secrets/upstream-key and name that file in parley.env.
            upstreams:
              main:
                kind: \(upstream.kind.rawValue)
                urls: [\(quoted("\(upstream.url)"))]
            \(model)routes:
              all:
                upstreams: [main]

            """
    }

    static func production(_ options: SetupOptions) -> String {
        """
        \(SetupPlan.mark): the five decisions of production. After each change:
        #
        #   (set -a; . \(options.directory)/parley.env; exec parley config check)

        # 1. Certificate. \(certificate(options))
        tls:
          certificates: [\(options.certificateFiles)]

        # 2. Keys that verify tokens. The secret in secrets/auth-secret, which parley.env names, verifies tokens with HS256 and signs the tokens
        # that "parley token" mints. With an identity provider, remove it from parley.env and set:
        #
        # auth:
        #   jwks_url: https://id.example/.well-known/jwks.json
        #   issuer: https://id.example/
        #   audience: parley

        # 3. Upstream and route: they are in gateway.yaml, because other environments need them, too.
        \(origins(options))
        # 4. Store. It keeps sessions and acknowledged messages over a restart. Keep its directory on a local disk.
        store:
          path: \(options.directory)/var/parley.sqlite

        # 5. Operations token, for health details, sessions and minted tokens: secrets/operations-token, which parley.env names. The listener
        # is at 127.0.0.1:9464 unless operations.address is set.

        reports:
          # Reports contain times and sizes, but neither texts nor transcripts.
          content: metadata

        """
    }

    private static func certificate(_ options: SetupOptions) -> String {
        switch options.certificate {
        case .selfSigned:
            """
            It is signed by its own key and valid for \(SetupPlan.certificateDays) days, so clients must trust tls/cert.pem. Replace both
            # files with those of a CA at any time: the gateway reads changed files again.
            """
        case .acme:
            """
            The gateway's user must be able to read both files, which certbot makes readable for root:
            #
            #   certbot certonly --standalone --domain \(options.names[0]) --deploy-hook "systemctl reload parley"
            #   chgrp --recursive parley /etc/letsencrypt/live /etc/letsencrypt/archive
            #   chmod --recursive g+rX /etc/letsencrypt/live /etc/letsencrypt/archive
            """
        }
    }

    private static func origins(_ options: SetupOptions) -> String {
        guard !options.origins.isEmpty else {
            return """
                #
                # Web pages are rejected unless their origins are listed; other clients aren't affected.
                #
                # http:
                #   allowed_origins: [https://app.example]

                """
        }
        return """

            # The web pages that may connect.
            http:
              allowed_origins: [\(options.origins.map(quoted).joined(separator: ", "))]

            """
    }

    static func variables(_ options: SetupOptions) -> String {
        """
        \(SetupPlan.mark): variables of the gateway and of the commands that operate it.
        PARLEY_ENVIRONMENT=production
        PARLEY_CONFIG=\(options.directory)/config
        PARLEY_AUTH_SECRET_FILE=\(options.directory)/secrets/auth-secret
        PARLEY_OPERATIONS_TOKEN_FILE=\(options.directory)/secrets/operations-token
        # PARLEY_UPSTREAMS_MAIN_API_KEY_FILE=\(options.directory)/secrets/upstream-key

        """
    }

    /// The directory has the same path in the container, so that the files are valid inside and outside.
    static func compose(_ options: SetupOptions, version: String, user: UInt32, group: UInt32) -> String {
        let directory = options.directory
        let certificates = options.certificate == .acme ? "\n      - /etc/letsencrypt:/etc/letsencrypt:ro" : ""
        return """
            \(SetupPlan.mark). The page Deployment describes how the image is built.
            name: parley

            services:
              parley:
                image: parley:\(version)
                command: ["serve"]
                # The owner of the files with secrets.
                user: "\(user):\(group)"
                restart: on-failure
                ports:
                  - "8443:8443"
                env_file: \(directory)/parley.env
                volumes:
                  - \(directory):\(directory):ro
                  - \(directory)/var:\(directory)/var\(certificates)
                healthcheck:
                  test: ["CMD", "parley", "health"]
                  interval: 10s
                  timeout: 3s
                  retries: 3
                  start_period: 30s
                # shutdown.drain (30 s) and some seconds more.
                stop_grace_period: 45s
                # Reaps processes that the programs of process upstreams leave behind.
                init: true
                read_only: true
                tmpfs:
                  - /tmp:size=16m,mode=1777
                cap_drop: [ALL]
                security_opt:
                  - no-new-privileges:true
                ulimits:
                  nofile:
                    soft: 65536
                    hard: 65536

            """
    }

    /// Returns a YAML scalar in double quotes. JSON strings are valid YAML.
    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { result.append("\\") }
            result.unicodeScalars.append(scalar)
        }
        return result + "\""
    }
}
