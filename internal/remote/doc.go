// Package remote is a client of a broker that runs: one [Client] whatever the
// dialect, which the scheme of the URL chooses.
//
//	http, https    the web dialect: requests and server-sent events
//	mqtt, mqtts    MQTT 5, or 3.1.1 where the broker speaks no other
//	ws, wss        MQTT if the path ends in /mqtt, else the Mycroft dialect: one
//	               WebSocket with a path, such as /core
//
// The URL of an MQTT broker may have a user name and a password, and the query
// client_id=TEXT and version=3.1.1. Services are called and provided by the
// conventions of package dialect/mqtt/mapping: those of version 5 need a broker of
// this project, those of 3.1.1 any that lets clients use topics that begin with $.
// MQTT itself is spoken by package client/mqtt.
//
// A client may be used from many goroutines at a time. Messages of one
// Subscribe come in the order in which the broker sent them, one at a time.
// What the broker cannot deliver because the client reads too slowly is lost
// and told to Options.Notice (web), or ends the connection (Mycroft), or what the
// broker of MQTT does then.
//
// A lost connection is an error of what was under way; nothing reconnects.
// Subscribe and Expose end with their context and return when the functions
// they were given have returned; Close ends everything that is under way.
package remote
