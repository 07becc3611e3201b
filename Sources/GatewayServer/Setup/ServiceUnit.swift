// SPDX-License-Identifier: Apache-2.0

/// The units of `deploy/systemd`, adapted to the directory of one gateway. A test compares the texts with the files.
enum ServiceUnit {
    /// Returns the service of a gateway whose files are in `directory`.
    static func service(in directory: String, executable: String, user: String, group: String) -> String {
        var text =
            shippedService
            .replacing("/usr/local/bin/parley", with: executable)
            .replacing("--config /etc/parley", with: "--config \(directory)/config")
            .replacing("/etc/parley/credentials", with: "\(directory)/secrets")
            .replacing("User=parley\nGroup=parley", with: "User=\(user)\nGroup=\(group)")
            // The directory is visible in the sandbox wherever it is. The configuration is in it, not in /etc/parley.
            .replacing(
                "ConfigurationDirectory=parley",
                with: "BindReadOnlyPaths=\(directory)\nBindPaths=\(directory)/var")
        if ["/home/", "/root/", "/run/user/"].contains(where: { (directory + "/").hasPrefix($0) }) {
            text = text.replacing("ProtectHome=yes", with: "ProtectHome=tmpfs")
        }
        return marked(text)
    }

    /// The listeners. Their addresses are the defaults of production.
    static var socket: String { marked(shippedSocket) }

    /// Replaces the lines before the first section.
    private static func marked(_ text: String) -> String {
        let body = text.firstRange(of: "[Unit]").map { String(text[$0.lowerBound...]) } ?? text
        return SetupPlan.mark + ". Changes belong in a drop-in: systemctl edit parley.service\n" + body
    }

    static let shippedService = """
        # SPDX-License-Identifier: Apache-2.0
        # Installed by deploy/install-service.sh. Changes belong in a drop-in: systemctl edit parley.service
        [Unit]
        Description=Parley session gateway
        Documentation=man:systemd.exec(5)
        After=network-online.target
        Wants=network-online.target
        # The sockets stay open while the service restarts, so that no connection is refused.
        Requires=parley.socket
        After=parley.socket

        [Service]
        # The gateway reports when it is ready, reloads and stops, and pings the watchdog while its event loops run.
        Type=notify
        NotifyAccess=main
        WatchdogSec=30s
        ExecStart=/usr/local/bin/parley serve --environment production --config /etc/parley
        ExecReload=/bin/kill -HUP $MAINPID
        Restart=on-failure
        RestartSec=1s
        # 78: the configuration, a certificate or the store file is wrong; a restart doesn't help.
        RestartPreventExitStatus=78
        TimeoutStartSec=5min
        # shutdown.drain (30 s) and 10 s more. Raise both together.
        TimeoutStopSec=40s

        User=parley
        Group=parley
        WorkingDirectory=/var/lib/parley
        StateDirectory=parley
        StateDirectoryMode=0700
        ConfigurationDirectory=parley
        UMask=0077
        # Sockets (connections.max_sockets) and upstreams; see "System requirements" on the Operating page.
        LimitNOFILE=16384
        LimitCORE=0

        # Secrets: files that only root can read, passed to the service in a directory of its own.
        LoadCredential=operations-token:/etc/parley/credentials/operations-token
        LoadCredential=auth-secret:/etc/parley/credentials/auth-secret
        Environment=PARLEY_OPERATIONS_TOKEN_FILE=%d/operations-token
        Environment=PARLEY_AUTH_SECRET_FILE=%d/auth-secret

        # The logs go to the journal, which limits and rotates them.
        StandardOutput=journal
        StandardError=journal
        SyslogIdentifier=parley

        # Sandbox. "systemd-analyze security parley.service" explains each setting.
        NoNewPrivileges=yes
        CapabilityBoundingSet=
        AmbientCapabilities=
        ProtectSystem=strict
        ProtectHome=yes
        PrivateTmp=yes
        PrivateDevices=yes
        PrivateUsers=yes
        PrivateIPC=yes
        PrivateMounts=yes
        ProtectHostname=yes
        ProtectClock=yes
        ProtectKernelTunables=yes
        ProtectKernelModules=yes
        ProtectKernelLogs=yes
        # Replaced by process-upstreams.conf, with which each process upstream gets a control group of its own.
        ProtectControlGroups=yes
        MemoryDenyWriteExecute=yes
        # The Swift runtime needs /proc/self, which stays visible.
        ProtectProc=invisible
        ProcSubset=pid
        RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
        RestrictNamespaces=yes
        RestrictRealtime=yes
        RestrictSUIDSGID=yes
        RemoveIPC=yes
        LockPersonality=yes
        KeyringMode=private
        DevicePolicy=closed
        SystemCallArchitectures=native
        SystemCallFilter=@system-service
        SystemCallFilter=~@privileged @resources
        # Shorter time slices of the event loops, and the limits of process upstreams.
        SystemCallFilter=sched_setattr setrlimit prlimit64
        SystemCallErrorNumber=EPERM

        [Install]
        WantedBy=multi-user.target
        Also=parley.socket

        """

    static let shippedSocket = """
        # SPDX-License-Identifier: Apache-2.0
        # The listeners of parley.service. They stay open while the service restarts: clients wait in the backlog and aren't refused.
        # These addresses replace listen.address and operations.address; keep both in agreement, because "parley health", "parley sessions" and
        # "parley config diff" read the configuration. The first socket is the TLS listener, the second the operations listener.
        # In a drop-in (systemctl edit parley.socket), an empty "ListenStream=" removes the addresses below.
        [Unit]
        Description=Listeners of the Parley session gateway

        [Socket]
        ListenStream=0.0.0.0:8443
        ListenStream=127.0.0.1:9464
        # Limited by net.core.somaxconn.
        Backlog=4096
        NoDelay=yes
        # A failing service must not take the listeners with it.
        TriggerLimitIntervalSec=0

        [Install]
        WantedBy=sockets.target

        """
}
