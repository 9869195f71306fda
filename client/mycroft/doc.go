// Package mycroft is a client of the Mycroft and OVOS message buses: of
// Omnibus, of the original hubs, and of a GUI bus, whose frames are flat.
//
// A [Client] keeps one connection and makes a new one when it is lost, after a
// growing time with some chance in it. [Client.Start] runs it in the background,
// [Client.Run] until its end.
//
// # Order
//
// Messages leave in the order of the Emit calls of a goroutine. The handlers of
// one type get its messages in the order in which the hub sent them, one at a
// time, each message first to the handler that was registered first; handlers
// of different types run at the same time. Options.Workers gives that order up.
// Handlers may block and may use the client, but must not close it.
//
// # Loss
//
// The bus has no acknowledgements. Emit returns when a message waits to be
// written; what waits when a connection is lost is lost, and counted. While
// there is no connection Emit waits for one, or puts the message into a bounded
// queue if Options.Offline says so. A handler that is slower than its messages
// loses the newest beyond Options.Queue, counted and reported. Frames that are
// no messages are dropped, counted and reported; the connection stays.
//
// # Answers
//
// The bus does not know who asked. [Client.WaitForResponse] puts an id into the
// context, which the original libraries copy into their answers, and takes the
// answer that carries it. An answer without any id is taken only when it can be
// nobody else's, see there.
//
// # Events of the connection
//
// That the connection opens, ends, fails or is tried again is told to the
// functions of [Events]. They have nothing in common with messages of the types
// open, close, error and reconnecting, which are received like any other.
//
// # Shutdown and failure
//
// [Client.Close] tells the hub, cancels the contexts of the handlers and waits
// for them and for every goroutine of the client. A handler that panics is
// reported and counted; everything else goes on. What is reported goes to
// Events.Error, or to the log if there is none, never to both.
package mycroft
