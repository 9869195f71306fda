// Package inproc compares the buses of this project with other ways to hand a
// message to functions of the same process, in one run:
//
//	go test -run '^$' -bench . -benchmem
//	OMNIBUS_RATIOS=1 go test -run TestRatios -benchtime 50ms -v
//
// The second prints a table of ratios, from the best of interleaved rounds, and
// fails when a bus of this project is slower than it should be. It is a module of its
// own so that nobody who uses the library gets what it is compared with.
//
// Every contender hands one string to n handlers, each of which counts. Those
// that hand it to other goroutines are timed until the last handler has counted.
// Left out are github.com/simonfxr/pubsub, which the public module proxy does
// not serve, and embedded NATS, mochi's inline client and Watermill's channels,
// which take from 10 to 200 times as long.
package inproc
