package dialect_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"omnibus/bus"
	"omnibus/carrier"
	"omnibus/dialect"
)

func bind(t *testing.T, s dialect.StreamListener) dialect.Bound {
	t.Helper()
	b, err := dialect.BindStream(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func tcp(address string) carrier.Endpoint {
	return carrier.Endpoint{Network: "tcp", Address: address}
}

func TestABoundListenerHasItsURL(t *testing.T) {
	b := bind(t, dialect.StreamListener{Endpoint: tcp("127.0.0.1:0"), Scheme: "ws", Path: "/core"})
	defer b.Close() //nolint:errcheck // it is closed below
	if u := b.URL(); !strings.HasPrefix(u, "ws://127.0.0.1:") || !strings.HasSuffix(u, "/core") || strings.Contains(u, ":0/") {
		t.Errorf("the URL is %s", u)
	}
	at := strings.TrimSuffix(strings.TrimPrefix(b.URL(), "ws://"), "/core")
	if _, err := dialect.BindStream(t.Context(), dialect.StreamListener{Endpoint: tcp(at)}); err == nil || !strings.Contains(err.Error(), at) {
		t.Errorf("a taken address: %v; want it named", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	bind(t, dialect.StreamListener{Endpoint: tcp(at)}).Close() //nolint:errcheck // free again
}

func TestAListenerSaysWhoCanReachIt(t *testing.T) {
	for address, exposed := range map[string]bool{"127.0.0.1:0": false, "localhost:0": false} {
		b := bind(t, dialect.StreamListener{Endpoint: tcp(address)})
		if b.Exposed() != exposed {
			t.Errorf("%s: exposed %v", address, b.Exposed())
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAListenerServesUntilItsContextEnds(t *testing.T) {
	broken := errors.New("broken")
	var served net.Listener
	b := bind(t, dialect.StreamListener{Endpoint: tcp("127.0.0.1:0"), Scheme: "x", Serve: func(ctx context.Context, l net.Listener) error {
		served = l
		<-ctx.Done()
		return errors.Join(broken, l.Close())
	}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Run(ctx); !errors.Is(err, broken) || served == nil || "x://"+served.Addr().String() != b.URL() {
		t.Errorf("served %v, %v", served, err)
	}
}

func TestCodesNameEveryKind(t *testing.T) {
	var codes dialect.Codes[string]
	for k := range bus.Kinds {
		codes[k] = k.String()
	}
	for k := range bus.Kinds {
		if got := codes.Of(bus.Errorf(k, "", "x")); got != k.String() {
			t.Errorf("%v has code %s", k, got)
		}
	}
	if got := codes.Of(errors.New("any other")); got != bus.Failed.String() {
		t.Errorf("another error has code %s", got)
	}
}
