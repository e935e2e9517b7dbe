// Package chaos kills, cuts, slows and floods the bridge, and counts.
//
// The bridge, the NATS server and the simulated factro are processes of their own on loopback, so that each can be killed
// as a crash kills it, and between them are proxies of the test, so that each link can be cut, slowed or made to swallow
// what it is given. Every row of the table is one fault under load, and ends when all is quiet again, with an account:
// which webhooks were answered with 202 and which are in the stream, which commands the broker took and the outcome of
// them, and which tasks factro has.
//
//	make chaos            # the short form, some minutes
//	make chaos-long       # the long form, about an hour
//
// Without -chaos the rows are skipped: they take longer than a plain "go test" should.
package chaos
