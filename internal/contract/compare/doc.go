// Package compare compares another description of factro's Core API with the one that the bridge is made from.
//
// In: an OpenAPI document as bytes, which others have written. Out: the differences, operation by operation and field by field, or the
// names of actions in it. It changes neither of the two.
package compare
