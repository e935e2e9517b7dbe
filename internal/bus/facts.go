package bus

// HeaderFact is a header that the contract promises, and its meaning.
type HeaderFact struct{ Name, Meaning string }

// DeadHeaders returns the headers of a dead letter, beside those of the original message.
func DeadHeaders() []HeaderFact {
	return []HeaderFact{
		{headerDeadCode, "why it was given up, in a word: the code of the result, or `unusable`, `too_large` or `refused` for a webhook"},
		{headerDeadReason, "why, in a sentence; percent-encoded"},
		{headerDeadTime, "when, RFC 3339"},
		{headerDeadSubject, "the original's subject; of a command"},
		{headerDeadPosition, "the original's stream and sequence, `<stream>:<sequence>`; of a command"},
		{headerDeadAttempts, "how often it was delivered; of a command"},
		{headerDeadStatus, "factro's HTTP status, if it answered; of a command"},
		{headerDeadLog, "a JSON list with `{at, status, error, trace}` for each attempt, the oldest first, at most the last 20; percent-encoded; of a command"},
		{headerDeadTrace, "the `traceparent` of the span in which it was given up; of a command"},
		{headerDeadMessageID, "the original's message id, if it had one: the id of a plain command"},
		{headerDeadCut, "the size of the original's data in bytes, if the letter holds only a part of the original: it was too large to be kept whole beside these headers"},
		{headerDeadRequest, "the headers of the request that it came with, a JSON object with a list of values for each name; percent-encoded. Headers that may carry a secret are left out, and so is what exceeds 4 KiB; of a webhook that came in now"},
		{headerDeadOriginal, "the name of the whole original in the object store for originals; beside the header before, unless the store did not take it"},
	}
}
