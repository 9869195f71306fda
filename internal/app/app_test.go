package app_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"

	"omnibus/auth"
	"omnibus/bus"
	"omnibus/carrier"
	"omnibus/dialect"
	"omnibus/dialect/std"
	"omnibus/internal/app"
)

func TestItRunsUntilItsContextEnds(t *testing.T) {
	d := new(diary)
	one := &fake{name: "one", diary: d}
	two := &fake{name: "two", diary: d}
	two.run = func(ctx context.Context) error {
		<-ctx.Done()
		// The broker is still there for what clients sent last.
		p, err := dialect.Join(context.Background(), two.port, &dialect.Hello{Credentials: auth.Credentials{Dialect: "two"}})
		if err != nil {
			return err
		}
		defer p.Leave()
		_, err = p.Publish(&bus.Message{Topic: "last"})
		d.note("publish")
		return err
	}
	a, log := wire(t, one, two)
	if err := a.Bind(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []app.Address{{Dialect: "one", URL: "fake://one", Option: "one.listen"}, {Dialect: "two", URL: "fake://two", Option: "two.listen"}}
	if got := a.Addresses(); !slices.Equal(got, want) {
		t.Errorf("addresses %+v, want %+v", got, want)
	}
	if got := d.String(); got != "bind one, bind two" {
		t.Errorf("before it runs: %s", got)
	}
	if _, err := bus.Subscribe(a.Broker().Bus(""), "last", func(context.Context, bus.Event[any]) { d.note("handled") }); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Run(ctx); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if got := d.String(); !strings.Contains(got, "publish") || !strings.Contains(got, "handled") || !strings.Contains(got, "end one") || !strings.Contains(got, "end two") {
		t.Errorf("it ended before all had ended: %s", got)
	}
	if err := bus.Publish(t.Context(), a.Broker().Bus(""), "x", 1); bus.KindOf(err) != bus.Closed {
		t.Errorf("the broker is still there: %v", err)
	}
	for _, want := range []string{"a dialect is served", "url=fake://one", "url=fake://two", "the broker is ending", "the broker has ended"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q: %s", want, log)
		}
	}
	if strings.Contains(log.String(), "level=WARN") || strings.Contains(log.String(), "level=ERROR") {
		t.Errorf("logged %s", log)
	}
	st := a.Broker().Status()
	if st.Version != "1.2.3" || st.Counters["one"]["opened"] != 1 {
		t.Errorf("status %+v", st)
	}
}

func TestATakenPlaceReleasesTheOthers(t *testing.T) {
	d := new(diary)
	a, _ := wire(t, &fake{name: "one", diary: d}, &fake{name: "two", diary: d}, &fake{name: "three", diary: d, bind: errBroken}, &fake{name: "four", diary: d})
	err := a.Bind(t.Context())
	if !errors.Is(err, errBroken) {
		t.Fatalf("got %v, want the listener's error", err)
	}
	for _, want := range []string{"three cannot start", "three.listen", "three.enabled"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if got := d.String(); got != "bind one, bind two, bind four, close one, close two, close four" {
		t.Errorf("got %s", got)
	}
	if n := len(a.Addresses()); n > 0 {
		t.Errorf("%d addresses are left", n)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

func TestATakenPortIsNamed(t *testing.T) {
	l, err := carrier.Listen(t.Context(), carrier.Endpoint{Network: "tcp", Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().String()
	s := app.Defaults(std.All())
	for _, x := range s.Dialects {
		if x.Spec.Name != "web" && x.Spec.Name != "echo" {
			set(t, s, x.Spec.Name+".enabled", "false")
		}
	}
	set(t, s, "echo.enabled", "true")
	set(t, s, "echo.listen", "127.0.0.1:0")
	set(t, s, "web.listen", taken)
	a, err := app.New(s, slog.New(slog.DiscardHandler), "")
	if err != nil {
		t.Fatal(err)
	}
	err = a.Bind(t.Context())
	if err == nil {
		t.Fatal("bound twice")
	}
	for _, want := range []string{"web cannot start", taken, "address already in use", "web.listen", "web.enabled"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

func set(t *testing.T, s *app.Settings, path, value string) {
	t.Helper()
	if err := s.Set(path, value); err != nil {
		t.Fatalf("setting %s: %v", path, err)
	}
}

func TestAListenerThatFailsEndsAll(t *testing.T) {
	d := new(diary)
	a, log := wire(t, &fake{name: "one", diary: d}, &fake{name: "two", diary: d, run: func(context.Context) error { return errBroken }})
	if err := a.Bind(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := a.Run(t.Context())
	if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "two at fake://two") {
		t.Errorf("got %v, want the listener and its error", err)
	}
	if !strings.Contains(d.String(), "end one") {
		t.Errorf("the other has not ended: %s", d)
	}
	if bus.KindOf(bus.Publish(t.Context(), a.Broker().Bus(""), "x", 1)) != bus.Closed {
		t.Error("the broker is still there")
	}
	if strings.Contains(log.String(), errBroken.Error()) {
		t.Errorf("what is returned is logged, too: %s", log)
	}
}

func TestADialectThatDoesNotEndInTimeIsLogged(t *testing.T) {
	d := new(diary)
	a, log := wire(t, &fake{name: "one", diary: d, run: func(ctx context.Context) error {
		<-ctx.Done()
		return errBroken
	}})
	if err := a.Bind(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Run(ctx); err != nil {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "dialect=one") || !strings.Contains(log.String(), "broken") {
		t.Errorf("logged %s", log)
	}
}

func TestHandlersThatDoNotEndInTimeAreTold(t *testing.T) {
	s := app.Defaults(nil)
	set(t, s, "broker.grace", "1ms")
	a, err := app.New(s, slog.New(slog.DiscardHandler), "")
	if err != nil {
		t.Fatal(err)
	}
	busy, ended := make(chan struct{}), make(chan struct{})
	if _, err := bus.Subscribe(a.Broker().Bus(""), "x", func(ctx context.Context, _ bus.Event[int]) {
		close(busy)
		<-ctx.Done()
		close(ended)
	}); err != nil {
		t.Fatal(err)
	}
	if err := bus.Publish(t.Context(), a.Broker().Bus(""), "x", 1); err != nil {
		t.Fatal(err)
	}
	<-busy
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want it said", err)
	}
	<-ended
}

func TestExposedListenersAreWarnedOf(t *testing.T) {
	d := new(diary)
	a, log := wire(t, &fake{name: "near", diary: d}, &fake{name: "far", diary: d, exposed: true})
	if err := a.Bind(t.Context()); err != nil {
		t.Fatal(err)
	}
	if x := a.Addresses(); x[0].Exposed || !x[1].Exposed {
		t.Errorf("addresses %+v", x)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Run(ctx); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"level=WARN", "other machines", "dialect=far", "url=fake://far", "setting=far.listen"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%q does not say %q", log, want)
		}
	}
	if strings.Count(log.String(), "level=WARN") != 1 {
		t.Errorf("warned of one that only this machine reaches: %s", log)
	}
}

func TestADisabledDialectIsNotThere(t *testing.T) {
	d := new(diary)
	off := &fake{name: "off", diary: d, Off: true, open: errBroken}
	a, _ := wire(t, off, &fake{name: "on", diary: d})
	if err := a.Bind(t.Context()); err != nil {
		t.Fatal(err)
	}
	if x := a.Addresses(); len(x) != 1 || x[0].Dialect != "on" || off.port != nil {
		t.Errorf("addresses %+v, opened: %v", x, off.port != nil)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if got := d.String(); got != "bind on, close on" {
		t.Errorf("got %s", got)
	}
}

func TestADialectThatCannotBeOpenedIsNamed(t *testing.T) {
	d := new(diary)
	specs := []dialect.Spec{(&fake{name: "one", diary: d}).spec(), (&fake{name: "two", diary: d, open: errBroken}).spec()}
	a, err := app.New(app.Defaults(specs), slog.New(slog.DiscardHandler), "")
	if a != nil || !errors.Is(err, errBroken) || !strings.HasPrefix(err.Error(), "two: ") {
		t.Errorf("%v, %v; want the dialect named", a, err)
	}
}

func TestListenersOfStandardDialectsAreLoopbackByDefault(t *testing.T) {
	s := app.Defaults(std.All())
	for _, x := range s.Dialects {
		t.Run(x.Spec.Name, func(t *testing.T) {
			n := 0
			for _, address := range addresses(reflect.ValueOf(x.Config).Elem(), "") {
				n++
				if e := (carrier.Endpoint{Network: "tcp", Address: address}); !e.IsLoopback() {
					t.Errorf("%s is no loopback address", address)
				}
				if _, _, err := net.SplitHostPort(address); err != nil {
					t.Error(err)
				}
			}
			if n == 0 {
				t.Error("it says nowhere where it listens")
			}
		})
	}
}

// addresses are the default values of all settings that are named like
// listeners.
func addresses(v reflect.Value, name string) (all []string) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if key, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); f.IsExported() {
				all = append(all, addresses(v.Field(i), name+"."+key)...)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			all = append(all, addresses(v.Index(i), name)...)
		}
	case reflect.String:
		if strings.Contains(name, "listen") && v.Len() > 0 {
			all = append(all, v.String())
		}
	}
	return all
}

func TestListenersOfStandardDialectsAreWhereTheirSettingSays(t *testing.T) {
	for _, x := range app.Defaults(std.All()).Dialects {
		t.Run(x.Spec.Name, func(t *testing.T) {
			s := app.Defaults(std.All())
			for _, other := range s.Dialects {
				set(t, s, other.Spec.Name+".enabled", map[bool]string{true: "true", false: "false"}[other.Spec.Name == x.Spec.Name])
			}
			set(t, s, x.Spec.Name+".listen", "127.0.0.1:0")
			if err := s.Check(); err != nil {
				t.Fatal(err)
			}
			a, err := app.New(s, slog.New(slog.DiscardHandler), "")
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := a.Close(); err != nil {
					t.Error(err)
				}
			}()
			if err := a.Bind(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, at := range a.Addresses() {
				if at.Exposed || !strings.Contains(at.URL, "127.0.0.1:") {
					t.Errorf("%+v", at)
				}
				set(t, s, at.Option, "127.0.0.1:0") // the setting exists
			}
			if len(a.Addresses()) == 0 {
				t.Error("no listeners")
			}
		})
	}
}
