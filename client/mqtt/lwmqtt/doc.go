// Package lwmqtt has the interface of the MQTT client of Zerynth's library lwmqtt, for programs that are ported from it:
// the same names, the same defaults, the same order of what happens. It is a layer on omnibus/client/mqtt, which is the
// better choice for new programs. The wire is MQTT 3.1.1.
//
//	c := lwmqtt.NewClient("zerynth-mqtt", lwmqtt.WithCleanSession(true))
//	code, err := c.Connect("broker.example", 60, lwmqtt.WithAConnect(subscribe), lwmqtt.WithLoopFailure(retry))
//	err = c.Publish("temp", []byte("21.5"), lwmqtt.QoS(1))
//
// Arguments that have a default are options here; times are in milliseconds, keep-alive is in seconds. A client does not
// reconnect and does not subscribe again by itself: the function of WithLoopFailure calls Reconnect, that of WithAConnect
// Subscribe. The codes of a refused connection are returned and are no errors.
//
// # The loop
//
// One goroutine, which Loop starts, calls the functions of messages and that of WithLoopFailure, one at a time. Before it
// is started messages wait. It ends with Disconnect, or when the function of a failure says BreakLoop, which is also what
// happens without one. Recovered lets it go on; if there is no connection all the same, the function is called again
// after the cycle time-out.
//
// # What is different
//
// These defects of the original are not kept:
//
//   - packets above 2048 bytes, more than 16 subscriptions and 10 undelivered messages are no problem; the limits are
//     options, and nothing is dropped or lost at them without an error
//   - a topic matches by the rules of MQTT, and each function runs once for each message
//   - a refused subscription is an error, and so is one that was granted a lower QoS than asked for
//   - a panic of a function does not end the loop; OnPanic is told. In the function of a failure it counts as BreakLoop
//   - functions may publish, subscribe and disconnect without deadlock
//   - a message of QoS 2 is delivered once, and acknowledged after its functions have run
//   - publishing something too large does not end the session; Connect on a connection that is up fails and harms nothing
//   - the function of a subscription is in place before the broker confirms it, so that no retained message is lost
//   - several clients may be used at a time
package lwmqtt
