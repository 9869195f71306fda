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

// Flight is a flight for tests: messages are known by their identifiers.
type Flight struct{ f flight }

// Add gives an identifier, if there is one.
func (x *Flight) Add(qos uint8) (id uint16, ok bool) {
	if x.f.full() {
		return 0, false
	}
	return x.f.add(delivery{qos: qos}), true
}

// TakeBack undoes the last Add.
func (x *Flight) TakeBack() { x.f.takeBack() }

// End frees an identifier, and tells whether it was in use.
func (x *Flight) End(id uint16) bool {
	u := x.f.find(id)
	if u != nil {
		x.f.end(u)
	}
	return u != nil
}

// Age marks all as to be sent again.
func (x *Flight) Age() { x.f.age() }

// Renew takes the mark away.
func (x *Flight) Renew(id uint16) {
	if u := x.f.find(id); u != nil {
		x.f.renew(u)
	}
}

// Open is how many are not acknowledged.
func (x *Flight) Open() int { return x.f.open }

// Old is how many of those are to be sent again.
func (x *Flight) Old() int { return x.f.old }

// All returns the identifiers in use with their marks, oldest first.
func (x *Flight) All() (ids []uint16, old []bool) {
	x.f.all(func(id uint16, u *under) {
		ids = append(ids, id)
		old = append(old, u.stage&again != 0)
	})
	return ids, old
}
