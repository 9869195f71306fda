// Package remote is a client of a broker that runs: one [Client] whatever the
// dialect, which the scheme of the URL chooses.
//
//	http, https    the web dialect: requests and server-sent events
//	ws, wss        the Mycroft dialect: one WebSocket with a path, such as /core
//
// A client may be used from many goroutines at a time. Messages of one
// Subscribe come in the order in which the broker sent them, one at a time.
// What the broker cannot deliver because the client reads too slowly is lost
// and told to Options.Notice (web), or ends the connection (Mycroft).
//
// A lost connection is an error of what was under way; nothing reconnects.
// Subscribe and Expose end with their context and return when the functions
// they were given have returned; Close ends everything that is under way.
package remote
