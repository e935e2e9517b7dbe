// Package measure has the names under which the packages for NATS measure and trace, so that several can count in one metric.
//
// In: subjects and clouds. Out: the scope, labels that are few, and the form in which a trace travels with a message. It
// measures nothing itself.
package measure
