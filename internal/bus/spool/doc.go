// Package spool keeps webhooks on the local disk while the broker takes none, and hands them over later, under their message
// ids and, for each entity, in the order of their arrival. Without a directory it only keeps that order.
//
// In come events with their destination, and bodies that could not be made into events. Out they go to the connection, or to the
// disk first. What the broker never takes goes to the dead letters. It never reports a webhook as stored before it is durable,
// and never looks into the body of one.
package spool
