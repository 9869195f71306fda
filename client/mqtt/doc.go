// Package mqtt is a client of MQTT brokers of any make: versions 5, 3.1.1 and 3.1 over TCP, TLS, WebSocket and unix
// sockets. It is small: a client that rests has one goroutine and a few kilobytes.
//
//	c, err := mqtt.Dial(ctx, "tcp://localhost:1883", mqtt.Options{ClientID: "kitchen"})
//	_, err = c.Subscribe(ctx, mqtt.Subscription{Filter: "room/+/temperature", QoS: 1, Handler: func(m *mqtt.Message) {
//		fmt.Println(m.Topic, string(m.Payload))
//	}})
//	err = c.Publish(ctx, mqtt.Message{Topic: "room/kitchen/temperature", Payload: []byte("21.5"), QoS: 1})
//	err = c.Close()
//
// # Publishing
//
// A client may be used from many goroutines; what they publish at the same time is written together. Messages of one
// goroutine keep their order. Publish returns when the broker has taken the message, Post when the client has: its token
// tells the rest. What is not acknowledged is bounded by Options.MaxInFlight and MaxInFlightBytes and by the broker's
// receive maximum, what is not written by Options.MaxOutbox; at a bound publishing waits, no longer than its context.
//
// # Receiving
//
// Handlers and the On functions of Options are called one at a time, in the order of what they are about, on a goroutine
// that exists only while there is something to call. They may publish, subscribe and wait for both, and may end the
// client with Disconnect (Close waits for them). A panic of one is reported to Options.OnError and disturbs nothing.
// A message is acknowledged when its handlers have returned. What waits for handlers is bounded by Options.MaxQueued
// and MaxQueuedBytes; at a bound the client reads no more, and the broker keeps the rest. There is one exception: while
// a call waits for the broker, which may be that of a handler, reading goes on. Messages of QoS 0 are then dropped
// and counted; at twice the bound the others are left to the broker, and when the handlers have caught up the connection
// ends with an error, so that a client that reconnects gets them again.
//
// Each message comes to the handlers of the subscriptions by which the broker sent it (version 5) or that match it, and to
// each of them once.
//
// # Connections
//
// A lost connection is an error (ErrDisconnected) of what waits for the broker, and the end of the client (Done, Err),
// unless Options.Reconnect is set: then the client connects again, after a pause that grows and is never the same,
// subscribes again if the broker has not kept the session, and sends again what is in flight. Calls for messages of QoS
// 1 and 2 go on waiting meanwhile; others fail.
//
// QoS 1 is delivered at least once and QoS 2 exactly once over any number of connections, in both directions, if the
// broker keeps the session (Options.SessionExpiry). If it does not, messages of QoS 1 are sent again, and those of QoS 2 that it
// may or may not have end with ErrUncertain. With Options.Store that holds over several processes too; a process
// that stops while a handler runs gets the message again.
//
// The broker is watched: what breaks the protocol, a PINGRESP that does not come, and a DISCONNECT end the connection with
// an error that says so.
package mqtt
