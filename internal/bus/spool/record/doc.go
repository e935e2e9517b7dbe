// Package record is the form in which messages lie on the spool's disk.
//
// In come messages for the broker. Out come messages for the disk, and from those again what they were, with the entity whose
// order they keep. It never reads or writes the disk itself, and never looks into the body of a webhook.
package record
