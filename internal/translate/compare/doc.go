// Package compare decides whether what factro shows is what was sent or delivered.
//
// In: the data of a create and the items of a list, a context of a webhook, or a text. Out: how alike they are, or the form in
// which equal ones have equal bytes. It is pure, and never changes what is sent or published.
package compare
