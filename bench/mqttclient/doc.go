// Package mqttclient compares the MQTT client of this project with those that Go programmers use today,
// paho.mqtt.golang (3.1.1) and paho.golang with autopaho (5.0), in one run:
//
//	OMNIBUS_RATIOS=1 go test -run TestRatios -v
//	OMNIBUS_RATIOS=1 OMNIBUS_BROKER=127.0.0.1:1883 go test -run TestRatios -v
//
// The first prints what an idle connected client costs in heap, stacks and goroutines, and how many messages of QoS 1 a
// second are published by one caller and by a hundred of one client, as the best of interleaved rounds; it fails when
// this project's client takes more than a third of the memory of another one, or publishes less than twice as fast for a hundred callers (one that
// waits for each acknowledgement is as slow as the way there and back). The
// other end is a process of its own that does nothing but acknowledge, so that the clients are what is measured; the
// second takes a broker that runs instead and only prints, for then the broker is measured as well. It is a module of its own so that nobody who uses the library gets what it is
// compared with.
//
// Every client is configured as its documentation begins: default queues, keep-alive of a minute, no message store
// beyond memory, reconnection on.
package mqttclient
