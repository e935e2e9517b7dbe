// Package pace measures how fast the spool is handed over, and says from that how long a sender should wait.
//
// In come numbers of messages, each with its time. Out come a rate and a waiting time. It never waits itself.
package pace
