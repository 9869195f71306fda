package enginetest

import (
	"errors"
	"fmt"
	"strconv"
	"sync"

	"omnibus/bus"
	"omnibus/engine"
)

var lifeCases = []Case{
	case1("the promise is stated", promise),
	case1("a closed engine says so", closed),
	case1("closing under appenders refuses them", closeUnderAppenders),
	case1("closing under loaders gives them all records or an error", closeUnderLoaders),
	reopening("opened again the journal is as it was", reopenJournal),
	reopening("opened again the records are as they were", reopenRecords),
	reopening("opened again positions go on", reopenPositions),
	reopening("opened again what was trimmed is still gone", reopenTrimmed),
	reopening("opened again everything accepted before closing is there", reopenAccepted),
}

func promise(o *opened) {
	p := o.Promise()
	if p.Name == "" || p.Durability > engine.NodeLoss {
		o.Errorf("promise %+v: want a name and a durability", p)
	}
	if p != o.Promise() {
		o.Errorf("promise %+v has changed to %+v", p, o.Promise())
	}
	if reopens := o.factory.CannotReopen == ""; reopens != (p.Durability > engine.Process) {
		o.Errorf("it promises to survive the loss of %s, but opened again it remembers: %v", p.Durability, reopens)
	}
}

func closed(o *opened) {
	at := o.append(numbered(0, 3)...)
	o.put(engine.Retained, "k", "v")
	j, r := o.Journal(), o.Records()
	_, changed := o.flushed()
	for range 2 {
		if err := o.Close(); err != nil {
			o.Errorf("closing: %v", err)
		}
	}
	select {
	case <-changed:
	case <-o.Context().Done():
		o.Error("who waits for a flush is not told of the closing")
	}
	now, changed, err := j.Flushed()
	if now != at[2] || !errors.Is(err, engine.ErrClosed) {
		o.Errorf("flushed up to %d, %v; want %d, ErrClosed", now, err, at[2])
	}
	select {
	case <-changed:
	default:
		o.Error("a closed engine lets wait for a flush")
	}
	_, appending := j.Append(numbered(3, 1)...)
	_, reading := j.Read(o.Context(), at[0], 1)
	for what, err := range map[string]error{
		"appending": appending,
		"reading":   reading,
		"trimming":  j.Trim(at[1]),
		"putting":   r.Put(engine.Retained, "k", nil),
		"deleting":  r.Delete(engine.Retained, "k"),
		"syncing":   r.Sync(o.Context()),
		"loading": r.Load(engine.Retained, func(key string, _ []byte) error {
			o.Errorf("a closed engine tells record %q", key)
			return nil
		}),
	} {
		if !errors.Is(err, engine.ErrClosed) {
			o.Errorf("%s after closing: %v, want ErrClosed", what, err)
		}
	}
	o.wantBounds(at[2]+1, at[2])
}

// appendAndClose closes an engine under appenders and returns what they were
// told is kept: how many entries each.
func appendAndClose(o *opened) [appenders]int {
	var kept [appenders]int
	var work, begun sync.WaitGroup
	begun.Add(appenders)
	for who := range appenders {
		work.Go(func() {
			begin := sync.OnceFunc(begun.Done)
			defer begin()
			for n := range 900 { // an engine need not be faster than Close
				e := numbered(n, 1)[0]
				e.Session = strconv.Itoa(who)
				_, err := o.Journal().Append(e)
				if err == nil {
					err = o.Records().Put(engine.Sessions, e.Session, e.Payload)
				}
				if err != nil {
					if !errors.Is(err, engine.ErrClosed) {
						o.Errorf("writing under Close: %v", err)
					}
					return
				}
				if kept[who] = n + 1; kept[who] == 10 {
					begin()
				}
			}
		})
	}
	begun.Wait()
	if err := o.Close(); err != nil {
		o.Errorf("closing: %v", err)
	}
	work.Wait()
	return kept
}

func closeUnderAppenders(o *opened) {
	for who, n := range appendAndClose(o) {
		if n < 10 {
			o.Errorf("appender %d was refused after %d entries, before Close", who, n)
		}
	}
}

func closeUnderLoaders(o *opened) {
	const records, loaders = 300, 3
	for i := range records {
		o.put(engine.Retained, strconv.Itoa(i), "v")
	}
	var work, begun sync.WaitGroup
	begun.Add(loaders)
	for range loaders {
		work.Go(func() {
			begin := sync.OnceFunc(begun.Done)
			defer begin()
			for o.Context().Err() == nil {
				n := 0
				err := o.Records().Load(engine.Retained, func(string, []byte) error { n++; return nil })
				switch {
				case err == nil && n != records:
					o.Errorf("%d of %d records look like all", n, records)
					return
				case err != nil && !errors.Is(err, engine.ErrClosed):
					o.Errorf("loading under Close: %v", err)
					return
				case err != nil:
					return
				}
				begin()
			}
			o.Error("a closed engine still loads")
		})
	}
	begun.Wait()
	if err := o.Close(); err != nil {
		o.Errorf("closing: %v", err)
	}
	work.Wait()
}

func reopenAccepted(o *opened) {
	kept := appendAndClose(o)
	o.open()
	var got [appenders]int
	for _, e := range o.read(0) {
		who, err := strconv.Atoi(e.Session)
		if err != nil || string(e.Payload) != strconv.Itoa(got[who]) {
			o.Fatalf("appender %s: entry %s, want %d", e.Session, e.Payload, got[who])
		}
		got[who]++
	}
	records := o.list(engine.Sessions)
	for who, n := range kept {
		if got[who] < n {
			o.Errorf("appender %d: %d entries, want the %d that were accepted", who, got[who], n)
		}
		if v := records[strconv.Itoa(who)]; v != strconv.Itoa(n-1) {
			o.Errorf("appender %d: its record is %q, want the last one accepted, %d", who, v, n-1)
		}
	}
}

func reopenJournal(o *opened) {
	o.reopen()
	o.wantBounds(1, 0)
	o.want(0, nil, nil)
	var entries []*engine.Entry
	var at []bus.Position
	for range 3 {
		batch := append(everyKind(), numbered(0, 100)...)
		for _, name := range oddNames() {
			batch = append(batch, &engine.Entry{Topic: name})
		}
		entries = append(entries, batch...)
		at = append(at, o.append(batch...)...)
		end := at[len(at)-1]
		for range 2 {
			o.reopen()
			o.wantBounds(at[0], end)
			o.want(0, at, entries)
			if now, _ := o.flushed(); now != end {
				o.Errorf("opened again it is flushed up to %d, want %d", now, end)
			}
		}
	}
}

func reopenRecords(o *opened) {
	want := make(map[engine.Table]map[string]string)
	for _, t := range tables {
		want[t] = make(map[string]string)
	}
	for round := range 3 {
		for i, t := range tables {
			for k, name := range oddNames() {
				if (k+i+round)%3 == 0 {
					o.delete(t, name)
					delete(want[t], name)
				} else if (k+round)%2 == 0 {
					v := fmt.Sprintf("%s %d", name[:1], round)
					o.put(t, name, v)
					want[t][name] = v
				}
			}
		}
		o.put(engine.Keys, "empty", "")
		want[engine.Keys]["empty"] = ""
		o.reopen()
		for _, t := range tables {
			o.wantRecords(t, want[t])
		}
	}
}

func reopenPositions(o *opened) {
	var before bus.Position
	for i := range 5 {
		at := o.append(numbered(i, 3)...)
		if at[0] <= before {
			o.Fatalf("opened again it gives position %d after %d", at[0], before)
		}
		if before = at[2]; i%2 == 1 {
			o.trim(before + 1)
		}
		o.reopen()
	}
}

func reopenTrimmed(o *opened) {
	entries := numbered(0, 500)
	at := o.append(entries...)
	for _, i := range []int{1, 300} {
		o.trim(at[i])
		o.reopen()
		o.wantBounds(at[i], at[499])
		o.want(at[i], at[i:], entries[i:])
		o.want(at[i-1]+1, at[i:], entries[i:])
		o.wantTrimmed(at[i-1])
		o.wantTrimmed(0)
	}
	o.trim(at[499] + 1)
	o.reopen()
	o.wantBounds(at[499]+1, at[499])
	o.waitFlushed(at[499])
	o.wantTrimmed(at[499])
	o.wantTrimmed(0)
	o.want(at[499]+1, nil, nil)
}
