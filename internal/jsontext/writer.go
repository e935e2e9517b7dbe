package jsontext

import (
	"encoding/json"
	"strconv"
	"time"
)

// Writer writes a JSON object property by property, as Encode writes a struct, but without reflection.
type Writer struct {
	out   []byte
	wrong bool
}

// Begin begins the object. size is about how long it becomes.
func (w *Writer) Begin(size int) { w.out = append(make([]byte, 0, size), '{') }

// Bytes ends the object and returns it. It is not ok if a value cannot be written like this.
func (w *Writer) Bytes() (_ []byte, ok bool) {
	w.End()
	return w.out, !w.wrong
}

// Open begins an object in the object, End ends it. The elements of a list have the name "".
func (w *Writer) Open(name string) {
	w.name(name)
	w.out = append(w.out, '{')
}

// End ends what Open has begun.
func (w *Writer) End() { w.out = append(w.out, '}') }

// OpenList begins a list in the object, EndList ends it.
func (w *Writer) OpenList(name string) {
	w.name(name)
	w.out = append(w.out, '[')
}

// EndList ends what OpenList has begun.
func (w *Writer) EndList() { w.out = append(w.out, ']') }

// name writes a name, which needs no escapes.
func (w *Writer) name(name string) {
	if last := w.out[len(w.out)-1]; last != '{' && last != '[' {
		w.out = append(w.out, ',')
	}
	if name == "" {
		return
	}
	w.out = append(w.out, '"')
	w.out = append(w.out, name...)
	w.out = append(w.out, `":`...)
}

// Text writes a string.
func (w *Writer) Text(name, value string) {
	w.name(name)
	out, ok := appendPlain(w.out, value)
	if ok && plainName(value) {
		w.out = out
		return
	}
	encoded, err := encodeByValue(value)
	w.out, w.wrong = append(w.out, encoded...), w.wrong || err != nil
}

// TextIf writes a string that is not empty.
func (w *Writer) TextIf(name, value string) {
	if value != "" {
		w.Text(name, value)
	}
}

// Int writes a number.
func (w *Writer) Int(name string, value int) {
	w.name(name)
	w.out = strconv.AppendInt(w.out, int64(value), 10)
}

// IntIf writes a number that is not 0.
func (w *Writer) IntIf(name string, value int) {
	if value != 0 {
		w.Int(name, value)
	}
}

// True writes that something is so, and nothing if it is not.
func (w *Writer) True(name string, is bool) {
	if is {
		w.name(name)
		w.out = append(w.out, "true"...)
	}
}

// Time writes a time.
func (w *Writer) Time(name string, at time.Time) {
	w.name(name)
	w.out = append(w.out, '"')
	w.out = at.AppendFormat(w.out, time.RFC3339Nano)
	w.out = append(w.out, '"')
	if year := at.Year(); at.Location() != time.UTC || year < 0 || year > 9999 {
		w.wrong = true
	}
}

// TimeIf writes a time that is not zero.
func (w *Writer) TimeIf(name string, at time.Time) {
	if !at.IsZero() {
		w.Time(name, at)
	}
}

// JSONIf writes a value that is not empty.
func (w *Writer) JSONIf(name string, value json.RawMessage) {
	if len(value) == 0 {
		return
	}
	w.name(name)
	if !Whole(value) {
		w.wrong = true
		return
	}
	w.out = appendCompact(w.out, value)
}
