// Package hostile attacks the bridge and checks that the neighbours of the attacker do not notice.
//
// The bridge and the NATS server are processes of their own on loopback; the simulated Core APIs run in the test, one for
// each cloud. The cloud acme is the attacker's, the cloud beta the victim's. Every row of the table is one attack: the row
// measures webhooks and commands of beta before it, attacks, and measures again. In the end aftermath checks that
//
//   - webhooks and commands of beta go through within their usual time,
//   - the memory of the bridge stayed under 256 MiB,
//   - /livez and /readyz told the truth from the start to the end,
//   - nothing that was acknowledged is lost: every webhook that was answered 2xx is in the stream, and every command that
//     the broker took has its final result,
//   - no log shows a secret or a panic,
//   - SIGTERM ends the process within its bound, with exit code 0.
//
// There is a short and a long form; scale gives a row its numbers:
//
//	make hostile            # the short form, about a minute and a half
//	make hostile-long       # the long form, one attack after the other
//
// Without -hostile the rows are skipped: they take longer than a plain "go test" should.
//
// A row reads like this:
//
//	func TestSomething(t *testing.T) {
//		t.Parallel()
//		w := newWorld(t, "what the attacker does", setting{spool: true})
//		… attack, with w.publish, w.post, w.dial …
//		w.aftermath(beta)
//	}
package hostile
