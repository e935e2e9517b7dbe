package factro

// Search is how to look for what a create may have made, since factro has no key by which a repeated create would be
// recognised. Which fields factro gives back as they were sent is inferred; so a difference in one of those that it may
// write in another way makes a doubt, and not another object.
type Search struct {
	// Check is what a human should look at where the search does not tell: one or two sentences.
	Check string
	// List is the operation that lists what could have been made. It is empty if factro offers no way to look.
	List string
	// Params are the parameters of List.
	Params []SearchParam
	// Same are the fields in which any difference says that an item is another object; in Like a difference says
	// nothing. Both compare only what was sent.
	Same, Like []Comparison
	// Created is the property of an item that holds the time of its creation, as text or as milliseconds. It is empty if
	// items do not say; then nothing that is found can be distinguished from what was there before.
	Created string
	// Sets is the field by which a command can say the time of creation itself, so that it is exact; mostly empty.
	Sets string
	// Nested is the property of an item that holds more items; mostly empty.
	Nested string
}

// SearchParam is where a parameter of a list comes from.
type SearchParam struct {
	// Name is the property of the list's data. Its value is that of the first of the command's Fields that was sent.
	Name   string
	Fields []string
	// Days are added to a value that is a day: whether factro counts the last day in is not known.
	Days int
	// Via is an operation that turns the value into the one that is wanted: it is asked with the value as Param, and the
	// answer holds the other one in Take. If it does not know the value, that is taken as it is.
	Via, Param, Take string
}

// Comparison is a field of the command's data, with dots to what is inside it, and the properties of an item one of which
// has to equal it.
type Comparison struct {
	Field string
	Items []string
}
