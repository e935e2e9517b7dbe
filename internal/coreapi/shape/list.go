package shape

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// MaxRecord bounds one stored payload, in bytes. The list of them has no end, a record has.
const MaxRecord = 8 << 20

var errNotList = &Error{"something that is no list"}

// Records takes a list apart, element by element: a list at factro has no pages and may have no end worth keeping. It must
// be whole: a part of it would look as if nothing else were there.
func Records(body io.Reader, each func(record []byte) error) error {
	limited := &allowance{r: body, left: MaxRecord}
	d := json.NewDecoder(limited)
	if first, err := d.Token(); err != nil && !errors.Is(err, io.EOF) {
		return jsonError(err)
	} else if first != json.Delim('[') {
		return errNotList
	}
	for d.More() {
		var record json.RawMessage
		if err := d.Decode(&record); err != nil {
			return jsonError(err)
		}
		limited.left = MaxRecord
		if err := each(record); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return jsonError(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return cmp.Or(jsonError(err), error(ErrNotJSON))
	}
	return nil
}

// allowance is a reader that fails when more was read of it than was allowed. It fills what it is given to read into: a
// JSON decoder looks at a blank again after each read, so that small reads of many blanks would never end.
type allowance struct {
	r    io.Reader
	left int
}

var errRecordTooLarge = &Error{fmt.Sprintf("a part of more than %d bytes", MaxRecord)}

func (a *allowance) Read(p []byte) (n int, err error) {
	if a.left <= 0 {
		return 0, errRecordTooLarge
	}
	p = p[:min(len(p), a.left)]
	for n < len(p) && err == nil {
		var more int
		more, err = a.r.Read(p[n:])
		n += more
	}
	a.left -= n
	return n, err
}
