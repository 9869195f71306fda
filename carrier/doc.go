// Package carrier turns addresses into connections: TCP, TLS, unix sockets, WebSocket and memory. It moves bytes and
// frames and knows nothing of what they mean.
//
// # Connections
//
// [Listen] and [Dial] open an [Endpoint] and explain a failure in words. [Memory] is a network inside the process for
// tests and embedded use. [Serve] is the accept loop of every stream: one goroutine per connection, a limit on
// connections, panics contained, and a shutdown that returns only after the last handler has.
//
// # Writing
//
// [Outbox] is the only writer of its connection. Appending never waits for the socket: bytes are queued in the order
// of the appends and written, everything waiting in one write, by a flusher goroutine that exists only while something
// is queued; or, for who appends much at a time and kicks in the end, on its own goroutine as far as the socket takes it
// without waiting. The queue is bounded; an append that would pass a bound queues nothing and returns [ErrFull], so a
// slow peer costs at most the bound, or one message when that is larger. OutboxOptions.OnRoom tells when there is room
// again. An idle outbox holds no buffer. After a failed write nothing is written any more.
//
// # Reading
//
// [Reader] buffers a connection and holds only half a kilobyte while it waits. [WebSocket] reads whole messages with
// it: one goroutine reads, and the bytes of a message are valid until the next Read. [Input] shows the bytes themselves,
// for protocols whose packets carry their length. A length a peer claims is never allocated before the bytes arrive, and
// by a WebSocket never above WebSocketOptions.MaxMessage.
//
// # Pages of other web sites
//
// A browser lets any page connect to any WebSocket, that of the own machine too. A server's handshake therefore refuses
// what [SameOrigin] does unless WebSocketOptions.CheckOrigin says otherwise.
//
// # Shutdown
//
// Everything that starts a goroutine waits for it: Serve for its handlers, Outbox.Close for its flusher,
// WebSocket.Close and Drop for theirs. Outbox.Close does not write what is queued; Flush first.
//
// The only state of the package itself are pools of buffers.
package carrier
