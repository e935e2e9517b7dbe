package topology

// Headers of dead letters, beside those of the original message. All begin with HeaderDead.
const (
	HeaderDead         = "Factro-Dead-"
	HeaderDeadCode     = HeaderDead + "Code"
	HeaderDeadReason   = HeaderDead + "Reason"
	HeaderDeadTime     = HeaderDead + "Time"
	HeaderDeadSubject  = HeaderDead + "Subject"
	HeaderDeadPosition = HeaderDead + "Position"
	HeaderDeadAttempts = HeaderDead + "Deliveries"
	HeaderDeadStatus   = HeaderDead + "Status"
	HeaderDeadLog      = HeaderDead + "Log"
	HeaderDeadTrace    = HeaderDead + "Trace"
	// HeaderDeadMessageID is the original's message id, which of a plain command is its id.
	HeaderDeadMessageID = HeaderDead + "Message-Id"
	// HeaderDeadCut is the size of the data, if only its beginning is kept.
	HeaderDeadCut = HeaderDead + "Cut"
	// HeaderDeadRequest holds the headers of the request that a webhook came with, without secrets, as JSON.
	HeaderDeadRequest = HeaderDead + "Request"
	// HeaderDeadOriginal is the name of the whole original in the object store for originals, if the dead letter holds only a
	// part of it.
	HeaderDeadOriginal = HeaderDead + "Original"
)

// HeaderReplaces names the dead letter, by its sequence, that a command has other data than. It makes the command nothing but the
// next one of the lane that the dead letter holds up.
const HeaderReplaces = "Factro-Replaces"

// HeaderFact is a header that the contract promises, and its meaning.
type HeaderFact struct{ Name, Meaning string }

// DeadHeaders returns the headers of a dead letter, beside those of the original message.
func DeadHeaders() []HeaderFact {
	return []HeaderFact{
		{HeaderDeadCode, "why it was given up, in a word: the code of the result, or `unusable`, `too_large` or `refused` for a webhook"},
		{HeaderDeadReason, "why, in a sentence; percent-encoded"},
		{HeaderDeadTime, "when, RFC 3339"},
		{HeaderDeadSubject, "the original's subject; of a command"},
		{HeaderDeadPosition, "the original's stream and sequence, `<stream>:<sequence>`; of a command"},
		{HeaderDeadAttempts, "how often it was delivered; of a command"},
		{HeaderDeadStatus, "factro's HTTP status, if it answered; of a command"},
		{HeaderDeadLog, "a JSON list with `{at, status, error, ms, trace}` for each attempt, `at` its end and `ms` how long the call lasted in milliseconds, the oldest first, at most the last 20; percent-encoded; of a command"},
		{HeaderDeadTrace, "the `traceparent` of the span in which it was given up; of a command"},
		{HeaderDeadMessageID, "the original's message id, if it had one: the id of a plain command"},
		{HeaderDeadCut, "the size of the original's data in bytes, if the letter holds only a part of the original: it was too large to be kept whole beside these headers"},
		{HeaderDeadRequest, "the headers of the request that it came with, a JSON object with a list of values for each name; percent-encoded. Headers that may carry a secret are left out, and so is what exceeds 4 KiB; of a webhook that came in now"},
		{HeaderDeadOriginal, "the name of the whole original in the object store for originals; beside the header before, unless the store did not take it"},
	}
}
