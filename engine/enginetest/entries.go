package enginetest

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"

	"omnibus/bus"
	"omnibus/engine"
	"omnibus/payload"
)

// numbered returns messages that say which they are.
func numbered(from, n int) []*engine.Entry {
	out := make([]*engine.Entry, n)
	for i := range out {
		out[i] = &engine.Entry{Topic: "numbered/" + strconv.Itoa(from+i), Form: payload.Text, Payload: []byte(strconv.Itoa(from + i))}
	}
	return out
}

// append appends and returns the positions of all entries.
func (o *opened) append(entries ...*engine.Entry) []bus.Position {
	o.Helper()
	last, err := o.Journal().Append(entries...)
	if err != nil {
		o.Fatalf("appending %d entries: %v", len(entries), err)
	}
	return consecutive(last, len(entries))
}

// consecutive returns the positions of n entries of which the last is given.
func consecutive(last bus.Position, n int) []bus.Position {
	out := make([]bus.Position, n)
	for i := range out {
		out[i] = last - bus.Position(n-1-i)
	}
	return out
}

// follow reads from a position to the end, at most max at a time.
func follow(o *opened, from bus.Position, max int) iter.Seq2[*engine.Entry, error] {
	return func(yield func(*engine.Entry, error) bool) {
		for {
			got, err := o.Journal().Read(o.Context(), from, max)
			if err == nil && len(got) > max {
				err = fmt.Errorf("%d entries, want at most %d", len(got), max)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for _, e := range got {
				if e.Position < from {
					yield(nil, fmt.Errorf("reading from %d gave position %d", from, e.Position))
					return
				}
				from = e.Position + 1
				if !yield(e, nil) {
					return
				}
			}
			if len(got) == 0 {
				return
			}
		}
	}
}

// read returns all entries from a position on.
func (o *opened) read(from bus.Position) []*engine.Entry {
	o.Helper()
	var out []*engine.Entry
	for e, err := range follow(o, from, 100) {
		if err != nil {
			o.Fatalf("reading from %d: %v", from, err)
		}
		out = append(out, e)
	}
	return out
}

// want checks that reading from a position on gives entries at positions.
func (o *opened) want(from bus.Position, at []bus.Position, entries []*engine.Entry) {
	o.Helper()
	got := o.read(from)
	if len(got) != len(entries) {
		o.Fatalf("reading from %d gave %d entries, want %d", from, len(got), len(entries))
	}
	for i, e := range got {
		if e.Position != at[i] {
			o.Fatalf("reading from %d: entry %d is at %d, want %d", from, i, e.Position, at[i])
		}
		if d := difference(e, entries[i]); d != "" {
			o.Fatalf("reading from %d: entry %d: %s", from, i, d)
		}
	}
}

// wantTrimmed checks that a position cannot be read any more.
func (o *opened) wantTrimmed(from bus.Position) {
	o.Helper()
	if got, err := o.Journal().Read(o.Context(), from, 1); !errors.Is(err, engine.ErrTrimmed) || len(got) > 0 {
		o.Errorf("reading from %d, which was given up: %d entries, %v; want ErrTrimmed", from, len(got), err)
	}
}

// difference says in which field two entries differ, but for their positions;
// nil and empty are the same.
func difference(got, want *engine.Entry) string {
	for _, f := range []struct {
		name      string
		same      bool
		got, want any
	}{
		{"Time", got.Time == want.Time, got.Time, want.Time},
		{"Kind", got.Kind == want.Kind, got.Kind, want.Kind},
		{"Tenant", got.Tenant == want.Tenant, got.Tenant, want.Tenant},
		{"Topic", got.Topic == want.Topic, got.Topic, want.Topic},
		{"Form", got.Form == want.Form, got.Form, want.Form},
		{"Payload", bytes.Equal(got.Payload, want.Payload), got.Payload, want.Payload},
		{"Headers", slices.Equal(got.Headers, want.Headers), got.Headers, want.Headers},
		{"ID", got.ID == want.ID, got.ID, want.ID},
		{"From", got.From == want.From, got.From, want.From},
		{"QoS", got.QoS == want.QoS, got.QoS, want.QoS},
		{"Retain", got.Retain == want.Retain, got.Retain, want.Retain},
		{"Expires", got.Expires == want.Expires, got.Expires, want.Expires},
		{"Session", got.Session == want.Session, got.Session, want.Session},
		{"Step", bytes.Equal(got.Step, want.Step), got.Step, want.Step},
	} {
		if !f.same {
			return fmt.Sprintf("%s is %.80s, want %.80s", f.name, shown(f.got), shown(f.want))
		}
	}
	return ""
}

// shown is a field for people; of bytes it is the length and the beginning.
func shown(x any) string {
	if b, ok := x.([]byte); ok {
		return fmt.Sprintf("%d bytes, %q", len(b), b[:min(len(b), 40)])
	}
	return fmt.Sprintf("%q", fmt.Sprint(x))
}

// list returns the records of a table. A key that is told twice is an error.
func (o *opened) list(t engine.Table) map[string]string {
	o.Helper()
	out := make(map[string]string)
	err := o.Records().Load(t, func(k string, v []byte) error {
		if _, twice := out[k]; twice {
			o.Errorf("table %s: key %.80q is told twice", t, k)
		}
		out[k] = string(v)
		return nil
	})
	if err != nil {
		o.Fatalf("loading table %s: %v", t, err)
	}
	return out
}

func (o *opened) put(t engine.Table, key, value string) {
	o.Helper()
	if err := o.Records().Put(t, key, []byte(value)); err != nil {
		o.Fatalf("putting %.80q into %s: %v", key, t, err)
	}
}

func (o *opened) delete(t engine.Table, key string) {
	o.Helper()
	if err := o.Records().Delete(t, key); err != nil {
		o.Fatalf("deleting %.80q from %s: %v", key, t, err)
	}
}

// tables are those that the contract names.
var tables = []engine.Table{engine.Retained, engine.Sessions, engine.Services, engine.Keys, engine.Rules}
