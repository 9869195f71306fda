// Package memory is an engine that keeps nothing beyond the process. It is for
// tests, for examples, and for a broker whose operator has decided that a
// restart may forget everything.
//
// The journal is bounded by a number of entries and by bytes. When it is full
// the oldest entries go: readers that have not got there are answered
// ErrTrimmed, and Stats counts what was given up. A batch that is greater than
// the whole journal is refused with ErrTooLarge, and so is a record that is
// larger; how many records there are is not bounded.
//
// What is appended counts as flushed at once, and Sync has nothing to wait for.
// Appending copies an entry before it takes the one lock of the journal; reading
// hands out what is stored and copies nothing but pointers. The package starts
// no goroutines.
package memory
