package remote

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"omnibus/bus"
	"omnibus/payload"
)

// requests are those of one Expose that are being served.
type requests struct {
	ctx     context.Context //nolint:containedctx // that of the Expose
	service bus.Service
	places  chan struct{}
	running sync.WaitGroup
}

func newRequests(ctx context.Context, s bus.Service) *requests {
	return &requests{ctx: ctx, service: s, places: make(chan struct{}, maxRequests)}
}

// full tells whether serve would refuse one more.
func (x *requests) full() bool { return len(x.places) == cap(x.places) }

// serve runs the service on a goroutine and hands over what it returned, a
// value or an error.
func (x *requests) serve(r *bus.Request, answer func(*payload.Value, error)) {
	select {
	case x.places <- struct{}{}:
	default:
		answer(nil, bus.Errorf(bus.Full, r.Service, "%d requests are being served already", maxRequests))
		return
	}
	x.running.Go(func() {
		defer func() { <-x.places }()
		v, err := x.call(r)
		if v == nil && err == nil {
			v = new(payload.Value)
		}
		answer(v, err)
	})
}

// call calls the service and turns its panic into an error.
func (x *requests) call(r *bus.Request) (v *payload.Value, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("serving %q: %w", r.Service, &bus.PanicError{Value: p, Stack: debug.Stack()})
		}
	}()
	return x.service(x.ctx, r)
}

// wait returns when the last one has been answered.
func (x *requests) wait() { x.running.Wait() }
