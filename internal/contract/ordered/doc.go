// Package ordered writes JSON and YAML documents whose members keep the order in which they were written down.
//
// In: objects, lists and values. Out: text, the same for the same value. It reads no documents.
package ordered
