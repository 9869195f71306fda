package mqtt

import (
	"context"
	"net"

	"omnibus/dialect"
)

// ServeOn serves MQTT as it is on a listener, such as one in memory.
func ServeOn(ctx context.Context, d dialect.Dialect, l net.Listener) error {
	s, _ := d.(*server)
	return s.serveWith(s.stream)(ctx, l)
}

// ServeWebSocketOn serves MQTT in WebSockets on a listener.
func ServeWebSocketOn(ctx context.Context, d dialect.Dialect, l net.Listener) error {
	s, _ := d.(*server)
	return s.serveWith(s.webSocket)(ctx, l)
}
