package doctor

// The groups.
const (
	groupConfig    = "config"
	groupFiles     = "files"
	groupNATS      = "nats"
	groupFactro    = "factro"
	groupWebhook   = "webhook"
	groupTelemetry = "telemetry"
)

// Names that others refer to.
const (
	configValid = "config-valid"
	natsConnect = "nats-connect"
)

// Checks is the table of all checks, in the order in which they are made.
func Checks() []Check {
	var all []Check
	for _, part := range [][]Check{configChecks(), fileChecks(), natsChecks(), streamChecks(), factroChecks(), outsideChecks()} {
		all = append(all, part...)
	}
	return all
}

func configChecks() []Check {
	return []Check{
		{
			Name: configValid, Group: groupConfig, Title: "the configuration is valid",
			Why:  "the bridge does not start with it",
			Help: "Correct the setting that is named. `bridge config check` lists the same mistakes with their lines.",
			run:  checkValid,
		},
		{
			Name: "config-hints", Group: groupConfig, Title: "no setting looks like a mistake",
			Why:  "the bridge starts with it, and may do something else than was meant",
			Help: "Correct the setting that is named.", Needs: []string{"config"},
			run: checkHints,
		},
		{
			Name: "config-header", Group: groupConfig, Title: "proxies pass the headers with the secrets on",
			Why:  "proxies such as nginx drop headers with _ or . in their names, and every webhook is answered with 401",
			Help: "Choose a name with hyphens, such as X-Bridge-Key, here and at factro.", Needs: []string{"config"},
			run: checkHeaders,
		},
		{
			Name: "config-idle", Group: groupConfig, Title: "idle connections are kept longer than balancers keep them",
			Why:   "a balancer that sends a webhook on a connection that is just being closed answers it with 502, and factro may not send it again",
			Help:  "Set `http.idle_timeout` above the balancer's time: 75 seconds for nginx, 60 for an AWS balancer, 600 for one of Google.",
			Needs: []string{"config"},
			run:   checkIdle,
		},
	}
}

func fileChecks() []Check {
	return []Check{
		{
			Name: "secret-text", Group: groupFiles, Title: "all secrets can be used, and are plain ASCII",
			Why:  "a webhook or a call with another text is refused; other programs may not take the extra characters off",
			Help: "Write the file again with `printf %s`, which adds nothing.", Needs: []string{"config", "files"},
			run: checkSecrets,
		},
		{
			Name: "secret-modes", Group: groupFiles, Title: "nobody else on this machine may read the secrets",
			Why:  "the secret is the only proof of the sender",
			Help: "Take the rights of others away with `chmod`.", Needs: []string{"config", "files"},
			run: checkModes,
		},
		{
			Name: "certificates", Group: groupFiles, Title: "certificates are valid for at least 30 days, and fit to their keys",
			Why:  "with a certificate that has expired no connection is made",
			Help: "Renew the certificate. The bridge reads the files again while it runs.", Needs: []string{"config", "files"},
			run: checkCertificates,
		},
		{
			Name: "spool-dir", Group: groupFiles, Title: "webhooks can wait on the disk while NATS is away",
			Why:  "without it webhooks are answered with 503 while NATS is away, and factro may not send them again",
			Help: "Set `spool.dir` to a directory that belongs to the bridge alone.", Needs: []string{"config", "files"},
			run: checkSpool,
		},
		{
			Name: "spool-disk", Group: groupFiles, Title: "the spool is on a disk that outlives the process",
			Why:  "webhooks that were answered with 202 are lost with the file system",
			Help: "Give the directory a volume of its own on a local disk.", Needs: []string{"config", "files"},
			run: checkSpoolDisk,
		},
		{
			Name: "spool-space", Group: groupFiles, Title: "the disk of the spool has room for spool.max_bytes",
			Why:  "when the disk is full, webhooks are answered with 503",
			Help: "Free space there, or lower `spool.max_bytes`.", Needs: []string{"config", "files"},
			run: checkSpoolSpace,
		},
	}
}

func natsChecks() []Check {
	return []Check{
		{
			Name: natsConnect, Group: groupNATS, Title: "NATS can be reached",
			Why:  "without NATS no command is carried out, and webhooks wait in the spool",
			Help: "The finding says what the server or the network answered, and the setting to look at.", Needs: []string{"config"},
			run: checkConnect,
		},
		{
			Name: "nats-version", Group: groupNATS, Title: "the server has all features that the bridge uses",
			Why:  "features of the bridge need a newer server",
			Help: "Upgrade the NATS server.", Needs: []string{"config", "nats"},
			run: checkVersion,
		},
		{
			Name: "nats-jetstream", Group: groupNATS, Title: "the account has JetStream where the configuration looks for it",
			Why:  "everything that the bridge stores is in JetStream",
			Help: "Enable JetStream in the server and in the account, or correct `nats.domain` and `nats.api_prefix`.", Needs: []string{"config", "nats"},
			run: checkJetStream,
		},
		{
			Name: "nats-account", Group: groupNATS, Title: "the account's limits leave room for all streams",
			Why:  "streams are made smaller than they should be, or not at all",
			Help: "Raise the limits of the account, or lower `nats.max_bytes`.", Needs: []string{"config", "nats"},
			run: checkAccount,
		},
		{
			Name: "nats-permissions", Group: groupNATS, Title: "no permission that the roles need is refused",
			Why:   "what the permission is for does not work",
			Help:  "Grant it to the user of the bridge, as `deploy/nats/auth.conf` has it. Rights to delete or purge are not asked for.",
			Needs: []string{"config", "nats"},
			run:   checkPermissions,
		},
		{
			Name: "nats-payload", Group: groupNATS, Title: "the largest webhook fits into a message",
			Why:  "a larger webhook is answered with 413",
			Help: "Lower `http.max_body`, or raise `max_payload` of the server.", Needs: []string{"config", "nats"},
			run: checkPayload,
		},
		{
			Name: "nats-clock", Group: groupNATS, Title: "the clocks of NATS and of this machine agree",
			Why:  "leases, ages and the search for missing events compare times of both",
			Help: "Let a time service such as chrony set both clocks.", Needs: []string{"config", "nats"},
			run: checkClock,
		},
		{
			Name: "nats-sync", Group: groupNATS, Title: "NATS writes messages to the disk before it acknowledges them",
			Why: "after a power cut of a single server, messages of the last minutes that were acknowledged are gone",
			Help: "Set `sync_interval: always` in the server's `jetstream` block, or run three servers. Only the monitoring of the server shows the " +
				"interval: name its address with `--monitoring`.",
			Needs: []string{"config", "nats", "monitoring"},
			run:   checkSync,
		},
	}
}

func streamChecks() []Check {
	return []Check{
		{
			Name: "nats-streams", Group: groupNATS, Title: "all streams are there and as the contract has them",
			Why:   "what the stream is for may not work, or may lose messages",
			Help:  "A bridge with `nats.manage: true` makes missing streams. Settings of streams that exist are changed with `nats stream edit`.",
			Needs: []string{"config", "nats"},
			run:   checkStreams,
		},
		{
			Name: "nats-subjects", Group: groupNATS, Title: "no other stream has subjects of the bridge",
			Why:  "messages go into a stream that the bridge does not read",
			Help: "Take the subject from the other stream, or choose another `nats.prefix`.", Needs: []string{"config", "nats"},
			run: checkSubjects,
		},
		{
			Name: "nats-consumers", Group: groupNATS, Title: "no consumer is ahead of its stream",
			Why:  "nothing new is delivered until the stream has grown as far again; this happens when an older state of a stream is restored",
			Help: "A bridge with `nats.manage: true` creates the consumer again within a minute. Without one, delete it.", Needs: []string{"config", "nats"},
			run: checkConsumers,
		},
		{
			Name: "nats-duplicates", Group: groupNATS, Title: "streams recognise repeated messages for at least 10 minutes",
			Why:  "a sender that repeats a message after a lost answer has it stored twice",
			Help: "Set `nats.duplicate_window` to 10m, and edit the streams that exist.", Needs: []string{"config", "nats"},
			run: checkDuplicates,
		},
		{
			Name: "nats-replicas", Group: groupNATS, Title: "streams outlive the loss of one server of a cluster",
			Why:  "if the one server that holds the stream is away, it takes nothing; if its disk is lost, so is the stream",
			Help: "Set `nats.replicas` to 3, and edit the streams that exist.", Needs: []string{"config", "nats"},
			run: checkReplicas,
		},
	}
}

func factroChecks() []Check {
	return []Check{
		{
			Name: "factro-key", Group: groupFactro, Title: "factro accepts the API key",
			Why:   "no command, no query and no reconciliation works without it",
			Help:  "Make a new key at factro, and write it into the file in `api.key`. The bridge reads it without a restart.",
			Needs: []string{"config", "factro", "network"},
			run:   checkKey,
		},
		{
			Name: "factro-budget", Group: groupFactro, Title: "requests are left, and nobody unknown shares them",
			Why:   "when no requests are left, commands wait for the next minute",
			Help:  "Find the other program that uses the key, give it a key of its own, or set `api.requests_per_minute`.",
			Needs: []string{"config", "factro", "network"},
			run:   checkBudget,
		},
		{
			Name: "factro-rights", Group: groupFactro, Title: "factro lets the key read what the roles read",
			Why:  "what factro refuses to the key, a role cannot do",
			Help: "Give the user of the key the right at factro, or leave the role out.", Needs: []string{"config", "factro", "network"},
			run: checkRights,
		},
		{
			Name: "factro-clock", Group: groupFactro, Title: "the clocks of factro and of this machine agree",
			Why:  "the bridge finds what a lost answer has made by its time of creation; it believes differences of up to 15 minutes only",
			Help: "Let a time service such as chrony set the clock of this machine.", Needs: []string{"config", "factro", "network"},
			run: checkFactroClock,
		},
	}
}

func outsideChecks() []Check {
	return []Check{
		{
			Name: "webhook-path", Group: groupWebhook, Title: "a webhook from outside arrives as an event",
			Why:   "webhooks of factro take the same way",
			Help:  "Run it with `--canary`. It stores one event with the action BridgeCanary. The finding says what answered in place of the bridge.",
			Needs: []string{"config", "nats", "canary", "network"},
			run:   checkWebhook,
		},
		{
			Name: "telemetry-endpoints", Group: groupTelemetry, Title: "collectors of traces and metrics can be reached",
			Why:  "traces or metrics are lost; the bridge itself goes on",
			Help: "Correct the variable that is named, or start the collector.", Needs: []string{"network"},
			run: checkCollectors,
		},
	}
}
