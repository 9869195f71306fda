package mycroft

import (
	"context"
	"net"

	"omnibus/dialect"
)

// ServeOn serves the hub on a listener, such as one in memory.
func ServeOn(ctx context.Context, d dialect.Dialect, l net.Listener) error {
	s, _ := d.(*server)
	return s.hub.serve(ctx, l)
}
