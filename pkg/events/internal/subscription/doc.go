// Package subscription delivers the messages of a stream that match a filter, each at least once, by a consumer that it finds
// or creates, and creates again where it was when it is lost.
//
// In: a filter, the consumer that is wanted, and a function that handles deliveries. Out: deliveries, until the context ends,
// and their verdicts to the broker. It never decides a verdict, and never looks into a message.
package subscription
