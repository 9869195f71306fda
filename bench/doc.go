// Package bench is an MQTT load generator: it measures any broker from outside,
// over TCP, and several of them side by side.
//
// [Run] runs scenarios in rounds, broker by broker (A B A B …), so that what
// slows the machine slows all of them, and reports medians. A scenario says what
// arrived and how fast, and what the broker spent on it: CPU time per delivered
// message and resident memory, read from /proc where the broker is a process of
// this machine.
//
// What is promised of the figures:
//
//   - The load is a closed loop. A publisher has at most a window of messages
//     underway, so that no broker must drop any; what is lost all the same is
//     counted. A publisher that hears nothing for a while gives up those
//     underway and goes on: a lossy broker is slow here, but it ends nothing.
//   - Rates and CPU times are of an interval in the middle of the traffic, after
//     a warm-up. Losses are of the whole of it, after all had time to arrive.
//   - A round trip is timed from the moment at which the message was due, not
//     from the one at which it could be sent.
//   - The generator costs little: packets are encoded before, written many at a
//     time, counted by their fixed headers, and no message allocates memory.
//     Its own CPU time per message is reported with the rest.
//
// A scenario that fails (a refused connection, a broker without shared
// subscriptions) is reported in words and the next one runs. Every scenario
// closes its connections and waits for its goroutines; a broker that was started
// by Run is stopped by it, with the processes it has started. When the context
// ends, Run does all that and returns.
package bench
