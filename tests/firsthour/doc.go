// Package firsthour does what new users do with the documents, before anything is set up: the rows of README.md. The bridge is
// the program as it is installed, NATS and factro come and go as processes, and each row says what people see then.
//
//	make firsthour                                    # all rows
//	go -C tests/firsthour test -firsthour -v -run X   # some of them
//
// With -transcripts FOLDER each row writes what was typed and what came. Without -firsthour the rows are skipped: they take longer than a
// plain "go test" should.
package firsthour
