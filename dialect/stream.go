package dialect

import (
	"context"
	"net"

	"omnibus/carrier"
)

// StreamListener describes a place where connections arrive one by one.
type StreamListener struct {
	Endpoint carrier.Endpoint
	// Scheme and Path make the URL, around the address that was bound.
	Scheme, Path string
	// Serve serves the connections until ctx ends; it closes the listener.
	Serve func(ctx context.Context, l net.Listener) error
}

// BindStream binds the endpoint.
func BindStream(ctx context.Context, s StreamListener) (Bound, error) {
	l, err := carrier.Listen(ctx, s.Endpoint)
	if err != nil {
		return nil, err
	}
	return &stream{StreamListener: s, listener: l}, nil
}

type stream struct {
	StreamListener
	listener net.Listener
}

func (s *stream) URL() string                   { return s.Scheme + "://" + s.listener.Addr().String() + s.Path }
func (s *stream) Exposed() bool                 { return !s.Endpoint.IsLoopback() }
func (s *stream) Run(ctx context.Context) error { return s.Serve(ctx, s.listener) }
func (s *stream) Close() error                  { return s.listener.Close() }
