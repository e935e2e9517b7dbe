package egress

import (
	"fmt"

	"github.com/factro-bridge/factro-bridge/internal/coreapi"
	"github.com/factro-bridge/factro-bridge/internal/translate"
	"github.com/factro-bridge/factro-bridge/pkg/events"
)

// invalid is the error for a mistake that translate cannot detect.
func invalid(pointer, message string) *events.Error {
	return coreapi.Mistaken(&translate.InvalidError{Fields: []events.FieldError{{Pointer: pointer, Message: message}}})
}

func noSuchFile(ref *events.ObjectRef, err error) *events.Error {
	return invalid("/file/object", fmt.Sprintf("there is no object %.80q in the bucket %s (%s)", ref.Name, ref.Bucket, err))
}

func ambiguousText(a coreapi.Answer) string {
	return fmt.Sprintf("factro may have carried this out or not (%s), and doing it again could do it twice", a.Text())
}

// exhausted is the error for a command that has used up its attempts.
func exhausted(message string, a coreapi.Answer) *events.Error {
	return &events.Error{Code: events.CodeExhausted, Message: message, Answer: a.Quoted()}
}
