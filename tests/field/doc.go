// Package field meets the bridge with what real deployments bring: the rows of README.md, each a situation that users of
// comparable systems reported in public. Everything runs as it would for a user: the bridge as a process, a NATS server as
// another one, and a Core API on loopback.
//
//	make field                                # all rows
//	go -C tests/field test -field -v -run X   # some of them
//
// Without -field the rows are skipped: they take longer than a plain "go test" should.
package field
