package objects

const (
	MaxName    = maxName
	AnswerRoom = answerRoom
	AnswerMost = answerMost
)
