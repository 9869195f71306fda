package enginetest

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"

	"omnibus/bus"
	"omnibus/engine"
	"omnibus/payload"
)

var journalCases = []Case{
	case1("entries are read in the order they were appended in", readInOrder),
	case1("a batch has consecutive positions and later ones are greater", positionsGrow),
	case1("appending nothing does nothing", appendNothing),
	case1("reading begins anywhere", readAnywhere),
	case1("reading gives at most as many as asked for", readAtMost),
	case1("reading at the end gives none", readAtTheEnd),
	case1("reading stops with its context", readWithContext),
	case1("bounds are the oldest and the newest", bounds),
	case1("trimming an empty journal gives nothing up", trimNothing),
	case1("what is trimmed is told as trimmed", trim),
	case1("trimming everything leaves the end where it is", trimEverything),
	case1("entries are as they were", asTheyWere),
	case1("the caller may change its buffers", callersBuffers),
	case1("entries of a mebibyte are accepted", largeEntries),
	case1("larger entries are stored whole or refused as too large", largerEntries),
	case1("topics of any bytes", oddTopics),
	case1("what is appended is flushed, and told", flushes),
}

func readInOrder(o *opened) {
	var entries []*engine.Entry
	var at []bus.Position
	for _, n := range []int{1, 3, 1, 100, 2} {
		batch := numbered(len(entries), n)
		entries = append(entries, batch...)
		at = append(at, o.append(batch...)...)
		o.want(0, at, entries)
	}
	o.want(at[0], at, entries)
}

func positionsGrow(o *opened) {
	var before bus.Position
	for i := range 50 {
		n := 1 + i%4
		at := o.append(numbered(0, n)...)
		if at[0] <= before || at[n-1] < at[0] {
			o.Fatalf("%d entries at %d to %d after one at %d", n, at[0], at[n-1], before)
		}
		got := o.read(at[0])
		if len(got) != n || got[0].Position != at[0] {
			o.Fatalf("reading from %d gave %d entries, want the %d of the batch", at[0], len(got), n)
		}
		before = at[n-1]
	}
}

func appendNothing(o *opened) {
	for range 2 {
		first, last := o.Journal().Bounds()
		if at, err := o.Journal().Append(); at != 0 || err != nil {
			o.Errorf("appending nothing: %d, %v; want 0", at, err)
		}
		if f, l := o.Journal().Bounds(); f != first || l != last {
			o.Errorf("bounds were %d and %d and are %d and %d", first, last, f, l)
		}
		o.append(numbered(0, 1)...)
	}
}

func readAnywhere(o *opened) {
	entries := numbered(0, 700)
	at := o.append(entries[:300]...)
	at = append(at, o.append(entries[300:]...)...)
	for _, i := range []int{0, 1, 63, 64, 255, 256, 257, 299, 300, 512, 698, 699} {
		o.want(at[i], at[i:], entries[i:])
	}
}

func readAtMost(o *opened) {
	at := o.append(numbered(0, 600)...)
	for _, max := range []int{-1, 0, 1, 2, 255, 256, 257, 600, 1000, math.MaxInt} {
		for _, i := range []int{0, 1, 300, 599} {
			got, err := o.Journal().Read(o.Context(), at[i], max)
			if err != nil || len(got) == 0 || len(got) > min(len(at)-i, maxOrOne(max)) {
				o.Errorf("reading at most %d of %d: got %d, %v", max, len(at)-i, len(got), err)
				continue
			}
			for k, e := range got {
				if e.Position != at[i+k] {
					o.Errorf("reading at most %d from %d: entry %d is at %d, want %d", max, at[i], k, e.Position, at[i+k])
				}
			}
		}
	}
}

func maxOrOne(n int) int { return max(n, 1) }

func readAtTheEnd(o *opened) {
	for _, from := range []bus.Position{0, 1, 1000, math.MaxUint64} {
		o.want(from, nil, nil)
	}
	at := o.append(numbered(0, 3)...)
	for _, from := range []bus.Position{at[2] + 1, at[2] + 1000, math.MaxUint64} {
		o.want(from, nil, nil)
	}
}

func readWithContext(o *opened) {
	at := o.append(numbered(0, 1)...)
	ctx, cancel := context.WithCancel(o.Context())
	cancel()
	if got, err := o.Journal().Read(ctx, at[0], 1); !errors.Is(err, context.Canceled) || got != nil {
		o.Errorf("reading with a context that is done: %v, %v", got, err)
	}
}

func (o *opened) wantBounds(first, last bus.Position) {
	o.Helper()
	if f, l := o.Journal().Bounds(); f != first || l != last {
		o.Errorf("bounds are %d and %d, want %d and %d", f, l, first, last)
	}
}

func bounds(o *opened) {
	o.wantBounds(1, 0)
	at := o.append(numbered(0, 1)...)
	o.wantBounds(at[0], at[0])
	at = append(at, o.append(numbered(1, 5)...)...)
	o.wantBounds(at[0], at[5])
}

func (o *opened) trim(before bus.Position) {
	o.Helper()
	if err := o.Journal().Trim(before); err != nil {
		o.Fatalf("trimming before %d: %v", before, err)
	}
}

func trimNothing(o *opened) {
	for _, before := range []bus.Position{0, 1, 1000, math.MaxUint64} {
		o.trim(before)
		o.wantBounds(1, 0)
		for _, from := range []bus.Position{0, 1, 999} {
			o.want(from, nil, nil)
		}
	}
	at := o.append(numbered(0, 2)...)
	o.wantBounds(at[0], at[1])
	o.want(0, at, numbered(0, 2))
}

func trim(o *opened) {
	o.trim(0)
	o.trim(1)
	entries := numbered(0, 600)
	at := o.append(entries...)
	o.trim(0)
	o.trim(at[0])
	o.want(0, at, entries)
	for _, i := range []int{1, 2, 255, 256, 300, 512, 599} {
		o.trim(at[i])
		o.wantBounds(at[i], at[599])
		o.want(at[i-1]+1, at[i:], entries[i:]) // after the last one given up
		o.want(at[i], at[i:], entries[i:])
		o.wantTrimmed(at[i-1])
		o.wantTrimmed(at[0])
		o.wantTrimmed(0)
		o.trim(at[i-1]) // what is gone is gone
		o.wantBounds(at[i], at[599])
	}
}

func trimEverything(o *opened) {
	var end bus.Position
	for _, before := range []bus.Position{1, 2, math.MaxUint64 / 2, math.MaxUint64} { // how far beyond the end
		at := o.append(numbered(0, 300)...)
		if at[0] <= end {
			o.Fatalf("a position is used again: %d after %d", at[0], end)
		}
		end = at[299]
		o.trim(max(before, end+1))
		o.wantBounds(end+1, end)
		o.wantTrimmed(0)
		o.wantTrimmed(end)
		o.want(end+1, nil, nil)
	}
	at := o.append(numbered(0, 2)...)
	o.wantBounds(at[0], at[1])
	o.want(end+1, at, numbered(0, 2))
	o.wantTrimmed(end)
}

// everyKind returns entries with every field set and with none.
func everyKind() []*engine.Entry {
	full := engine.Entry{
		Position: 4711, Time: -1, Kind: engine.MessageEntry, Tenant: "tenant", Topic: "a/b", Form: payload.CBOR,
		Payload: []byte("\x00\xffpayload\n"), ID: "0198-id", From: "mqtt/sensor 7", QoS: 2, Retain: true, Expires: math.MaxInt64,
		Headers: []bus.Header{{Key: "k", Value: "v"}, {Key: "k", Value: ""}, {Key: "", Value: "w"}, {Key: "\xff", Value: "é\x00"}},
		Session: "session\x00\xff", Step: []byte{0, 1, 255},
	}
	step := engine.Entry{Time: math.MinInt64, Kind: engine.StepEntry, Session: "s", Step: []byte("step")}
	out := []*engine.Entry{{}, &full, &step, {Kind: engine.StepEntry}}
	for form := range payload.Arrow + 1 {
		out = append(out, &engine.Entry{Topic: "form", Form: form, Payload: []byte{byte(form)}})
	}
	for qos := range uint8(3) {
		out = append(out, &engine.Entry{Topic: "qos", QoS: qos, Time: 1, Expires: -1})
	}
	return append(out,
		&engine.Entry{Payload: []byte{}, Headers: []bus.Header{}, Step: []byte{}},
		&engine.Entry{Headers: []bus.Header{{}}},
		&engine.Entry{Retain: true},
		&engine.Entry{Tenant: "only"},
		&engine.Entry{ID: "only"},
		&engine.Entry{From: "only"},
		&engine.Entry{Session: "only"},
	)
}

func asTheyWere(o *opened) {
	entries := everyKind()
	var at []bus.Position
	for _, e := range entries {
		at = append(at, o.append(e)...)
	}
	at = append(at, o.append(entries...)...)
	if given := everyKind(); entries[1].Position != given[1].Position {
		o.Errorf("appending changed the caller's entry: position %d", entries[1].Position)
	}
	o.want(0, at, append(entries, entries...))
}

func callersBuffers(o *opened) {
	entries, want := everyKind(), everyKind()
	at := o.append(entries...)
	before := o.read(0)
	for _, e := range entries {
		clear(e.Payload)
		clear(e.Step)
		clear(e.Headers)
		*e = engine.Entry{Topic: "used again"}
	}
	clear(entries)
	o.want(0, at, want)
	for i, e := range before {
		if d := difference(e, want[i]); d != "" {
			o.Errorf("entry %d, read before: %s", i, d)
		}
	}
}

// mebibyte is the size that every engine must accept.
const mebibyte = 1 << 20

// large returns an entry with a payload of n bytes that repeats nothing soon.
func large(i, n int) *engine.Entry {
	return &engine.Entry{Topic: "large", Payload: largeBytes(i, n)}
}

func largeBytes(i, n int) []byte {
	return bytes.Repeat([]byte{byte(i), 0xff, 0}, n/3+1)[:n]
}

func largeEntries(o *opened) {
	entries := []*engine.Entry{large(1, mebibyte), large(2, mebibyte), {Topic: "small"}, large(3, mebibyte), large(4, mebibyte)}
	entries[1].Step = bytes.Repeat([]byte("s"), 1000)
	entries[3].Topic = strings.Repeat("x", 65_535)
	entries[2].Headers = []bus.Header{{Key: strings.Repeat("k", 1000), Value: strings.Repeat("v", 100_000)}}
	at := o.append(entries[0])
	at = append(at, o.append(entries[1:]...)...)
	o.want(at[0], at, entries)
	o.want(at[3], at[3:], entries[3:])
}

func largerEntries(o *opened) {
	entries := numbered(0, 1)
	at := o.append(entries...)
	for i, n := range []int{mebibyte + 1, 5 * mebibyte} {
		batch := []*engine.Entry{numbered(i, 1)[0], large(i, n)}
		last, err := o.Journal().Append(batch...)
		switch {
		case err == nil:
			at = append(at, consecutive(last, len(batch))...)
			entries = append(entries, batch...)
		case !errors.Is(err, engine.ErrTooLarge):
			o.Errorf("appending %d bytes: %v, want ErrTooLarge", n, err)
		}
		o.want(at[0], at, entries)
		o.wantBounds(at[0], at[len(at)-1])
	}
	at = append(at, o.append(numbered(1, 1)...)...)
	o.want(at[0], at, append(entries, numbered(1, 1)...))
}

// oddNames are topics and keys.
func oddNames() []string {
	return []string{
		" ", "/", "//", "a//b", "/a/", "a b", "\t\r\n", ".", "..", "a.b", "a..b", ">", "*", "a.>", "a.*.b", "+", "#", "+/#", "$SYS/x", "$JS.API",
		"%", "%2F", "%00", "_", "-", "a%b", "é", "日本語", "\U0001f600", "\u2028", "\ufeff", "\x00", "a\x00b", "\x7f", "\xff\xfe", "\xed\xa0\x80",
		"..\\x", "../../x", "CON", "a:b|c?d\"e<f>", "A", "a",
		strings.Repeat("/", 200), strings.Repeat("a.", 200), strings.Repeat("x", 256),
		strings.Repeat("x", 4096), strings.Repeat("x/", 2048), strings.Repeat("é", 3000),
		strings.Repeat("x", 65_535), strings.Repeat("x", 65_534) + "y", strings.Repeat("%", 65_535), strings.Repeat("a/", 32_767),
	}
}

func oddTopics(o *opened) {
	var entries []*engine.Entry
	var at []bus.Position
	for _, name := range oddNames() {
		e := &engine.Entry{Topic: name, Tenant: name, Session: name, Payload: []byte("x")}
		entries = append(entries, e)
		at = append(at, o.append(e)...)
	}
	o.want(0, at, entries)
}

// flushed is Flushed of an engine that must not fail.
func (o *opened) flushed() (upto bus.Position, changed <-chan struct{}) {
	o.Helper()
	upto, changed, err := o.Journal().Flushed()
	if err != nil {
		o.Fatalf("flushed up to %d: %v", upto, err)
	}
	return upto, changed
}

func flushes(o *opened) {
	if at, _ := o.flushed(); at != 0 {
		o.Errorf("an empty journal is flushed up to %d", at)
	}
	for i := range 20 {
		before, changed := o.flushed()
		at := o.append(numbered(i, 1+i%3)...)
		end := at[len(at)-1]
		if end <= before {
			o.Fatalf("flushed up to %d before %d was appended", before, end)
		}
		select {
		case <-changed:
		case <-o.Context().Done():
			o.Fatal("nobody was told that the journal was flushed")
		}
		if now, _ := o.flushed(); now <= before {
			o.Errorf("told that more is flushed than up to %d, but it is %d", before, now)
		}
		o.waitFlushed(end)
		if now, _ := o.flushed(); now != end {
			o.Errorf("flushed up to %d, want %d", now, end)
		}
	}
}

// waitFlushed waits until all up to a position is durable.
func (o *opened) waitFlushed(at bus.Position) {
	o.Helper()
	for {
		now, changed := o.flushed()
		if now >= at {
			return
		}
		select {
		case <-changed:
		case <-o.Context().Done():
			o.Fatalf("flushed up to %d only, want %d", now, at)
		}
	}
}
