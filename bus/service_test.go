package bus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/bus"
	"omnibus/payload"
)

// register provides a service that answers who.
func register(t *testing.T, b *bus.Bus, name, who string, origin *bus.Origin) *bus.Exposure {
	t.Helper()
	e, err := b.Register(name, func(context.Context, *bus.Request) (*payload.Value, error) { return payload.Of(who), nil }, origin)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func expose[A, R any](t *testing.T, b *bus.Bus, name string, fn func(context.Context, A) (R, error)) *bus.Exposure {
	t.Helper()
	e, err := bus.Expose(b, name, fn)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestACallEndsWithAnErrorThatSaysWhich has one case for each way to fail.
func TestACallEndsWithAnErrorThatSaysWhich(t *testing.T) {
	forever := func(b *bus.Bus) bus.Service { // ignores ctx, but not for ever
		return func(context.Context, *bus.Request) (*payload.Value, error) {
			time.Sleep(time.Hour)
			return nil, nil
		}
	}
	returns := func(err error) func(*bus.Bus) bus.Service {
		return func(*bus.Bus) bus.Service {
			return func(context.Context, *bus.Request) (*payload.Value, error) { return nil, err }
		}
	}
	boom := errors.New("boom")
	tests := []struct {
		name    string
		service func(*bus.Bus) bus.Service
		after   time.Duration // a deadline of the caller's
		cancel  time.Duration // the caller gives up
		gone    time.Duration // the service is withdrawn
		kind    bus.Kind
		is      error
		text    string
		took    time.Duration
	}{
		{name: "unknown", kind: bus.Unknown, text: `"s": no such service`},
		{name: "withdrawn", service: forever, gone: time.Second, kind: bus.Unavailable, text: "went away", took: time.Second},
		{name: "bus's timeout", service: forever, kind: bus.TimedOut, is: context.DeadlineExceeded, text: "no answer within 5s", took: 5 * time.Second},
		{name: "caller's deadline", service: forever, after: time.Minute, kind: bus.TimedOut, is: context.DeadlineExceeded, text: "1m0s", took: time.Minute},
		{name: "caller gives up", service: forever, cancel: time.Second, kind: bus.Closed, is: context.Canceled, text: "gave up", took: time.Second},
		{name: "failed", service: returns(boom), kind: bus.Failed, is: boom, text: `"s": boom`},
		{name: "refused", service: returns(bus.Errorf(bus.Refused, "s", "not you")), kind: bus.Refused, text: `"s": not you`},
		{name: "kind without text", service: returns(&bus.Error{Kind: bus.Full, Topic: "s"}), kind: bus.Full, text: `"s": full`},
		{name: "invalid by its cause", service: returns(fmt.Errorf("decoding: %w", payload.ErrForm)), kind: bus.Invalid, is: payload.ErrForm},
		{name: "panic", service: func(*bus.Bus) bus.Service {
			return func(context.Context, *bus.Request) (*payload.Value, error) { panic("oh") }
		}, kind: bus.Failed, text: "handler panicked: oh"},
		{name: "returns its context's error", service: func(*bus.Bus) bus.Service {
			return func(ctx context.Context, _ *bus.Request) (*payload.Value, error) {
				<-ctx.Done()
				return nil, fmt.Errorf("asking on: %w", ctx.Err())
			}
		}, kind: bus.TimedOut, is: context.DeadlineExceeded, text: "no answer within 5s", took: 5 * time.Second},
		{name: "heeds its deadline", service: func(*bus.Bus) bus.Service {
			return func(ctx context.Context, _ *bus.Request) (*payload.Value, error) {
				<-ctx.Done()
				return nil, errors.New("interrupted")
			}
		}, kind: bus.TimedOut, took: 5 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				panics := 0
				b := bus.New(bus.Options{
					CallTimeout: 5 * time.Second,
					Observer:    bus.Observer{Panic: func(string, *bus.PanicError) { panics++ }},
				})
				defer func() {
					if err := b.Close(context.Background()); err != nil {
						t.Error(err)
					}
				}()
				if tt.service != nil {
					e, err := b.Register("s", tt.service(b), nil)
					if err != nil {
						t.Fatal(err)
					}
					if tt.gone > 0 {
						time.AfterFunc(tt.gone, func() { e.Withdraw() })
					}
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.after > 0 {
					ctx, cancel = context.WithTimeout(ctx, tt.after)
					defer cancel()
				}
				if tt.cancel > 0 {
					time.AfterFunc(tt.cancel, cancel)
				}
				start := time.Now()
				_, err := b.Call(ctx, &bus.Request{Service: "s"})
				if err == nil || bus.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("got %v (%v), want %v and %q", err, bus.KindOf(err), tt.kind, tt.text)
				}
				if strings.Count(err.Error(), `"s"`) != 1 {
					t.Errorf("%v does not name the service once", err)
				}
				if tt.is != nil && !errors.Is(err, tt.is) {
					t.Errorf("%v does not wrap %v", err, tt.is)
				}
				if d := time.Since(start); d != tt.took {
					t.Errorf("it took %v, want %v", d, tt.took)
				}
				if want := map[bool]int{true: 1}[tt.name == "panic"]; panics != want {
					t.Errorf("%d panics reported, want %d", panics, want)
				}
			})
		})
	}
}

func TestACallWhoseCallerHasGivenUpDoesNotReachTheService(t *testing.T) {
	b := newBus(t, bus.Options{})
	expose(t, b, "s", func(context.Context, struct{}) (int, error) {
		t.Error("called")
		return 0, nil
	})
	if _, err := bus.Call[int](ended(t), b, "s"); bus.KindOf(err) != bus.Closed || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestTheServicesContextEndsWithTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t, bus.Options{})
		var left atomic.Int32
		e := expose(t, b, "s", func(ctx context.Context, _ struct{}) (int, error) {
			<-ctx.Done()
			left.Add(1)
			return 0, nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		for range 2 {
			go func() { _, _ = bus.Call[int](ctx, b, "s") }()
		}
		synctest.Wait()
		if info := b.Services(); len(info) != 1 || info[0] != (bus.ServiceInfo{Name: "s", Providers: 1, Busy: 2}) {
			t.Errorf("services are %+v", info)
		}
		cancel()
		synctest.Wait()
		if left.Load() != 2 || b.Services()[0].Busy != 0 {
			t.Errorf("%d services ended, %d busy", left.Load(), b.Services()[0].Busy)
		}
		go func() { _, _ = bus.Call[int](t.Context(), b, "s") }()
		synctest.Wait()
		e.Withdraw()
		synctest.Wait()
		if left.Load() != 3 {
			t.Error("Withdraw does not end the context")
		}
	})
}

func TestPolicies(t *testing.T) {
	tests := []struct {
		policy bus.Policy
		want   string // who answers six calls one after the other
	}{
		{bus.FirstUp, "aaaaaa"},
		{bus.RoundRobin, "abcabc"},
		{bus.LeastBusy, "aaaaaa"},
	}
	for _, tt := range tests {
		b := newBus(t, bus.Options{Policy: tt.policy})
		var all []*bus.Exposure
		for _, who := range []string{"a", "b", "c"} {
			all = append(all, register(t, b, "s", who, nil))
		}
		call := func(n int) (got string) {
			for range n {
				v, err := bus.Call[string](t.Context(), b, "s")
				if err != nil {
					t.Fatal(err)
				}
				got += v
			}
			return got
		}
		if got := call(6); got != tt.want {
			t.Errorf("policy %d: %q answered, want %q", tt.policy, got, tt.want)
		}
		all[0].Withdraw()
		if got := call(4); strings.Contains(got, "a") || !strings.Contains(got, "b") {
			t.Errorf("policy %d: %q answered after a had gone", tt.policy, got)
		}
	}
}

func TestLeastBusySpreadsCallsThatComeAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus(t, bus.Options{Policy: bus.LeastBusy})
		const providers, calls = 4, 40
		var busy [providers]atomic.Int32
		gate := make(chan struct{})
		for i := range providers {
			expose(t, b, "s", func(context.Context, struct{}) (int, error) {
				busy[i].Add(1)
				<-gate
				return 0, nil
			})
		}
		var wg sync.WaitGroup
		for range calls {
			wg.Go(func() {
				if _, err := bus.Call[int](t.Context(), b, "s"); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		for i := range busy {
			if n := busy[i].Load(); n != calls/providers {
				t.Errorf("provider %d has %d calls, want %d", i, n, calls/providers)
			}
		}
		close(gate)
		wg.Wait()
	})
}

func TestALinkDoesNotCallItselfWithoutEcho(t *testing.T) {
	one, two := &bus.Origin{Name: "one"}, &bus.Origin{Name: "two"}
	tests := []struct {
		name      string
		providers []*bus.Origin
		caller    *bus.Origin
		echo      bool
		want      int // index of the provider; -1 is Unavailable
	}{
		{"here to here", []*bus.Origin{nil}, nil, false, 0},
		{"here to a link", []*bus.Origin{one}, nil, false, 0},
		{"a link to here", []*bus.Origin{nil}, one, false, 0},
		{"a link to another", []*bus.Origin{two}, one, false, 0},
		{"a link to itself", []*bus.Origin{one}, one, false, -1},
		{"a link to itself with echo", []*bus.Origin{one}, one, true, 0},
		{"passed over", []*bus.Origin{one, one, two}, one, false, 2},
	}
	for _, policy := range []bus.Policy{bus.FirstUp, bus.RoundRobin, bus.LeastBusy} {
		for _, tt := range tests {
			b := newBus(t, bus.Options{Policy: policy})
			for i, o := range tt.providers {
				register(t, b, "s", fmt.Sprint(i), o)
			}
			for range 3 { // RoundRobin's turn moves on
				v, err := b.Call(t.Context(), &bus.Request{Service: "s", Origin: tt.caller, Echo: tt.echo})
				if tt.want < 0 {
					if bus.KindOf(err) != bus.Unavailable || err == nil {
						t.Errorf("policy %d, %s: got %v", policy, tt.name, err)
					}
				} else if err != nil {
					t.Errorf("policy %d, %s: %v", policy, tt.name, err)
				} else if got, _ := payload.To[string](v); got != fmt.Sprint(tt.want) {
					t.Errorf("policy %d, %s: %s answered", policy, tt.name, got)
				}
			}
			if want := tt.want >= 0 || tt.echo; b.Exposed("s", tt.caller) != want && !tt.echo {
				t.Errorf("%s: Exposed is %v", tt.name, !want)
			}
		}
	}
}

func TestTheRegistryListsWhatIsExposed(t *testing.T) {
	b := newBus(t, bus.Options{})
	link := &bus.Origin{}
	e := register(t, b, "b", "", link)
	register(t, b, "a", "", nil)
	register(t, b, "a", "", nil)
	if e.Name() != "b" {
		t.Errorf("the name is %q", e.Name())
	}
	if got := b.Services(); !slices.Equal(got, []bus.ServiceInfo{{Name: "a", Providers: 2}, {Name: "b", Providers: 1}}) {
		t.Errorf("services are %+v", got)
	}
	if !b.Exposed("b", nil) || b.Exposed("b", link) || !b.Exposed("a", link) || b.Exposed("c", nil) {
		t.Error("Exposed is wrong")
	}
	if !e.Withdraw() || e.Withdraw() || b.Exposed("b", nil) || len(b.Services()) != 1 {
		t.Error("Withdraw is wrong")
	}
	if _, err := bus.Call[string](t.Context(), b, "b"); bus.KindOf(err) != bus.Unknown {
		t.Errorf("a call after Withdraw returns %v", err)
	}
}

func TestTheServiceGetsTheRequestAndCodecs(t *testing.T) {
	codecs := new(payload.Codecs)
	codecs.Add(payload.CBOR, payload.Args, func([]byte) ([]byte, error) { return []byte(`["decoded"]`), nil })
	b := newBus(t, bus.Options{Codecs: codecs})
	if _, err := b.Register("s", func(_ context.Context, r *bus.Request) (*payload.Value, error) {
		arg, err := r.Args.As(payload.JSON)
		h, _ := r.Headers.Get("k")
		if string(arg) != `"decoded"` || err != nil || h != "v" || r.Service != "s" || r.Origin.Name != "link" {
			t.Errorf("the request is %+v with %s, %v", r, arg, err)
		}
		return payload.New(payload.CBOR, nil), nil
	}, nil); err != nil {
		t.Fatal(err)
	}
	r := &bus.Request{Service: "s", Origin: &bus.Origin{Name: "link"}, Headers: bus.MakeHeaders(bus.Header{Key: "k", Value: "v"})}
	r.Args.Set(payload.CBOR, nil)
	v, err := b.Call(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := payload.To[string](v); got != "decoded" || err != nil {
		t.Errorf("the answer is %q, %v", got, err)
	}
}
