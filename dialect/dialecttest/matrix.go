package dialecttest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"omnibus/bus"
	"omnibus/payload"
	"omnibus/topic"
)

// scenario is one thing that is sent from every dialect to every other.
type scenario struct {
	name string
	// run sends it from one client to another and says what arrived: "same",
	// or what it became.
	run func(t *testing.T, e exchange) string
}

// exchange is the two ends of a scenario, on topics of their own.
type exchange struct {
	dialFrom, dialTo func() Client
	lacksFrom        map[Ability]string
	lacksTo          map[Ability]string
	name             string
}

func scenarios() []scenario {
	value := func(name string, form payload.Form, data string) scenario {
		return scenario{name, func(t *testing.T, e exchange) string {
			return arrived(t, e, func() *payload.Value { return payload.New(form, []byte(data)) })
		}}
	}
	return []scenario{
		value("object", payload.JSON, `{"name":"kitchen","t":21.5,"ok":true,"none":null}`),
		value("number", payload.JSON, `21.5`),
		value("large integer", payload.JSON, `9007199254740993`),
		value("array", payload.JSON, `[1,[2],{"a":3}]`),
		value("several arguments", payload.Args, `["a",1,{"b":2}]`),
		value("text", payload.Text, "21 °C, grüße 😀"),
		value("binary", payload.Bytes, "\x00\x01\xfe\xff"),
		value("empty", payload.Empty, ""),
		value("1 MiB", payload.JSON, `{"text":"`+strings.Repeat("0123456789abcdef", 1<<16)+`"}`),
		{"service call", called},
		{"service error", failed},
	}
}

// Matrix sends every scenario from every dialect, and this process, to every
// other, and returns what arrived as a Markdown page.
func Matrix(t *testing.T, drivers ...Driver) string {
	s := Start(t, drivers...)
	ends := []Driver{{Lacks: map[Ability]string{}}}
	ends[0].Spec.Name = "go"
	ends[0].Dial = func(context.Context, string) (Client, error) { return InProcess(s.Broker.Bus("")), nil }
	ends = append(ends, drivers...)

	var page strings.Builder
	page.WriteString("<!-- Written by the test of dialect/std (make docs); do not edit. -->\n# What arrives\n\n" +
		"Each row publishes, or calls, in one dialect; each column receives, or answers, in another. `go` is a function of the\n" +
		"broker's own process. \"same\" is the same value with the same meaning; anything else is what it becomes, and \"–\" is what\n" +
		"a dialect has no means for.\n")
	for _, sc := range scenarios() {
		fmt.Fprintf(&page, "\n## %s\n\n| from ↓ to → |", sc.name)
		for _, to := range ends {
			fmt.Fprintf(&page, " %s |", to.Spec.Name)
		}
		page.WriteString("\n|" + strings.Repeat(" --- |", len(ends)+1) + "\n")
		for _, from := range ends {
			fmt.Fprintf(&page, "| **%s** |", from.Spec.Name)
			for _, to := range ends {
				fmt.Fprintf(&page, " %s |", cell(t, s, sc, from, to))
			}
			page.WriteString("\n")
		}
	}
	return page.String()
}

// cell runs one scenario between two dialects.
func cell(t *testing.T, s *Server, sc scenario, from, to Driver) (result string) {
	name := strings.ReplaceAll(fmt.Sprintf("matrix.%s.%s.%s", sc.name, from.Spec.Name, to.Spec.Name), " ", "_")
	ok := t.Run(name, func(t *testing.T) {
		dial := func(d Driver) func() Client {
			return func() Client {
				ctx, cancel := context.WithTimeout(t.Context(), Patience)
				defer cancel()
				c, err := d.Dial(ctx, s.URLs[d.Spec.Name])
				if err != nil {
					t.Fatalf("dialing %s: %v", d.Spec.Name, err)
				}
				t.Cleanup(func() { _ = c.Close() })
				return c
			}
		}
		result = sc.run(t, exchange{
			dialFrom: dial(from), dialTo: dial(to), lacksFrom: from.Lacks, lacksTo: to.Lacks, name: name,
		})
	})
	if !ok {
		return "**broken**"
	}
	return result
}

// arrived publishes a value and says what the other end got.
func arrived(t *testing.T, e exchange, v func() *payload.Value) string {
	box := Listen(t, e.dialTo(), e.name)
	publish(t, e.dialFrom(), e.name, v())
	got := box.next(t)
	want, have := meaning(t, v()), meaning(t, &got.Payload)
	if want == have {
		return "same"
	}
	if len(have) > 60 {
		have = have[:60] + "…"
	}
	return "`" + have + "`"
}

// meaning writes a value so that two are equal when they mean the same.
func meaning(t *testing.T, v *payload.Value) string {
	t.Helper()
	switch kind := v.Kind(); kind {
	case payload.Empty:
		return "empty"
	case payload.Bytes:
		return fmt.Sprintf("bytes %x", v.Data())
	case payload.Args:
		data, err := v.As(payload.Args)
		if err != nil {
			t.Fatal(err)
		}
		return "args " + canonical(t, data)
	default:
		data, err := v.As(payload.JSON)
		if err != nil {
			t.Fatal(err)
		}
		return canonical(t, data)
	}
}

// canonical writes JSON without white space and with sorted keys, numbers as
// they are.
func canonical(t *testing.T, data []byte) string {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var x any
	if err := d.Decode(&x); err != nil {
		t.Fatalf("%.100q: %v", data, err)
	}
	out, err := payload.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// called calls a service of the other end.
func called(t *testing.T, e exchange) string {
	return call(t, e, func(_ context.Context, r *bus.Request) (*payload.Value, error) {
		args, err := r.Args.As(payload.Args)
		if err != nil {
			return nil, err
		}
		return payload.New(payload.JSON, []byte(`{"got":`+string(args)+`}`)), nil
	}, func(v *payload.Value, err error) string {
		if err != nil {
			return "error: " + err.Error()
		}
		if got := meaning(t, v); got != `{"got":["a",2]}` {
			return "`" + got + "`"
		}
		return "same"
	})
}

// failed calls a service that answers with an error.
func failed(t *testing.T, e exchange) string {
	return call(t, e, func(context.Context, *bus.Request) (*payload.Value, error) {
		return nil, bus.Errorf(bus.Failed, "", "the oven is cold")
	}, func(v *payload.Value, err error) string {
		switch {
		case err == nil:
			return "no error: `" + meaning(t, v) + "`"
		case strings.Contains(err.Error(), "the oven is cold"):
			return "same"
		default:
			return err.Error()
		}
	})
}

func call(t *testing.T, e exchange, serve bus.Service, judge func(*payload.Value, error) string) string {
	if _, lacking := e.lacksFrom[Calling]; lacking {
		return "–"
	}
	if _, lacking := e.lacksTo[Exposing]; lacking {
		return "–"
	}
	provider := e.dialTo()
	run(t, func(ctx context.Context, ready func()) error { return provider.Expose(ctx, e.name, ready, serve) })
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	return judge(e.dialFrom().Call(ctx, e.name, payload.New(payload.Args, []byte(`["a",2]`))))
}

// InProcess is a client that is a function of the broker's process.
func InProcess(b *bus.Bus) Client { return inProcess{b} }

type inProcess struct{ bus *bus.Bus }

func (c inProcess) Publish(_ context.Context, name string, v *payload.Value) error {
	m := &bus.Message{Topic: name}
	v.KeepIn(&m.Payload)
	_, err := c.bus.Publish(m)
	return err
}

func (c inProcess) Subscribe(ctx context.Context, p topic.Pattern, ready func(), fn func(*bus.Message)) error {
	s, err := c.bus.Attach(p, receiver(fn), bus.AttachOptions{})
	if err != nil {
		return err
	}
	ready()
	<-ctx.Done()
	s.Unsubscribe()
	return nil
}

func (c inProcess) Call(ctx context.Context, name string, args *payload.Value) (*payload.Value, error) {
	r := &bus.Request{Service: name}
	args.KeepIn(&r.Args)
	return c.bus.Call(ctx, r)
}

func (c inProcess) Expose(ctx context.Context, name string, ready func(), s bus.Service) error {
	e, err := c.bus.Register(name, s, nil)
	if err != nil {
		return err
	}
	ready()
	<-ctx.Done()
	e.Withdraw()
	return nil
}

func (c inProcess) Close() error { return nil }
