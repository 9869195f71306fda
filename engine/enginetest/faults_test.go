package enginetest_test

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"omnibus/bus"
	"omnibus/engine"
)

// faults are engines that break a promise, made anew for each use.
var faults = map[string]func() bad{
	"no name": func() bad { return bad{promise: func(engine.Promise) engine.Promise { return engine.Promise{} }} },
	"promises too much": func() bad {
		return bad{promise: func(p engine.Promise) engine.Promise { p.Durability = engine.PowerLoss; return p }}
	},
	"forgets headers": func() bad { return bad{append: changed(func(e *engine.Entry) { e.Headers = nil })} },
	"forgets id":      func() bad { return bad{append: changed(func(e *engine.Entry) { e.ID = "" })} },
	"forgets from":    func() bad { return bad{append: changed(func(e *engine.Entry) { e.From = "" })} },
	"forgets a step":  func() bad { return bad{append: changed(func(e *engine.Entry) { e.Step = nil })} },
	"cleans topics": func() bad {
		return bad{append: changed(func(e *engine.Entry) { e.Topic = strings.ToValidUTF8(e.Topic, "?") })}
	},
	"cuts topics": func() bad {
		return bad{append: changed(func(e *engine.Entry) { e.Topic = e.Topic[:min(len(e.Topic), 65_000)] })}
	},
	"tells the first":  func() bad { return bad{append: tellFirst} },
	"breaks up":        func() bad { return bad{append: breakUp} },
	"turns round":      func() bad { return bad{append: turnRound} },
	"changes entries":  func() bad { return bad{append: setPositions} },
	"reads from after": func() bad { return bad{read: readAfter} },
	"reads too many":   func() bad { return bad{read: readMore} },
	"reads too few":    func() bad { return bad{read: readNone} },
	"never trimmed":    func() bad { return bad{read: readTrimmed} },
	"bounds of all": func() bad {
		return bad{bounds: func(j engine.Journal) (first, last bus.Position) { _, last = j.Bounds(); return min(last, 1), last }}
	},
	"trims one more": func() bad {
		return bad{trim: func(j engine.Journal, before bus.Position) error { return j.Trim(max(before, before+1)) }}
	},
	"trims nothing":                  func() bad { return bad{trim: func(engine.Journal, bus.Position) error { return nil }} },
	"tells an empty journal as none": func() bad { return bad{bounds: boundsOfNone} },
	"forgets where it ended":         func() bad { return bad{bounds: forgottenEnd} },
	"trims what never was":           trimAhead,
	"flushed behind": func() bad {
		return bad{flushed: func(j engine.Journal) (bus.Position, <-chan struct{}, error) {
			at, c, err := j.Flushed()
			return at + 1, c, err
		}}
	},
	"cannot flush": func() bad {
		return bad{flushed: func(j engine.Journal) (bus.Position, <-chan struct{}, error) {
			_, c, _ := j.Flushed()
			return 0, c, errors.New("the disk is gone")
		}}
	},
	"flushes after closing": func() bad {
		return bad{flushed: func(j engine.Journal) (bus.Position, <-chan struct{}, error) {
			at, c, _ := j.Flushed()
			return at, c, nil
		}}
	},
	"forgets how far it was flushed": func() bad {
		return bad{flushed: func(j engine.Journal) (bus.Position, <-chan struct{}, error) {
			at, c, err := j.Flushed()
			if err != nil {
				at = 0
			}
			return at, c, err
		}}
	},
	"refuses a mebibyte":         func() bad { return limited(1<<20-1, engine.ErrTooLarge, false) },
	"says full of what is large": func() bad { return limited(2<<20, engine.ErrFull, false) },
	"stores half of a batch":     func() bad { return limited(2<<20, engine.ErrTooLarge, true) },
	"cuts large entries": func() bad {
		return bad{append: changed(func(e *engine.Entry) { e.Payload = e.Payload[:min(len(e.Payload), 4<<20)] })}
	},
	"cuts large records": func() bad {
		return bad{put: func(r engine.Records, t engine.Table, k string, v []byte) error {
			return r.Put(t, k, v[:min(len(v), 4<<20)])
		}}
	},
	"keeps a record's buffer": keepBuffer,
	"one table for all": func() bad {
		return bad{
			put:  func(r engine.Records, _ engine.Table, k string, v []byte) error { return r.Put("all", k, v) },
			load: func(r engine.Records, _ engine.Table, each tell) error { return r.Load("all", each) },
		}
	},
	"does not replace": func() bad { return bad{put: putOnce()} },
	"deletes nothing":  func() bad { return bad{delete: func(engine.Records, engine.Table, string) error { return nil }} },
	"tells twice":      func() bad { return bad{load: loadTwice} },
	"does not tell of empty records": func() bad {
		return bad{load: func(r engine.Records, t engine.Table, each tell) error {
			return r.Load(t, func(k string, v []byte) error {
				if len(v) == 0 {
					return nil
				}
				return each(k, v)
			})
		}}
	},
	"loads half and says nothing": func() bad { return bad{load: loadSome} },
	"loads nothing when closed": func() bad {
		return bad{load: func(r engine.Records, t engine.Table, each tell) error {
			if err := r.Load(t, each); !errors.Is(err, engine.ErrClosed) {
				return err
			}
			return nil
		}}
	},
	"hides the error of who is told": func() bad {
		return bad{load: func(r engine.Records, t engine.Table, each tell) error {
			var stopped bool
			err := r.Load(t, func(k string, v []byte) error {
				err := each(k, v)
				stopped = stopped || err != nil
				return err
			})
			if stopped {
				return nil
			}
			return err
		}}
	},
	"says another error": func() bad {
		return bad{load: func(r engine.Records, t engine.Table, each tell) error {
			if err := r.Load(t, each); err != nil && !errors.Is(err, engine.ErrClosed) {
				return errors.New("loading did not work")
			} else {
				return err
			}
		}}
	},
	"goes on after an error": func() bad {
		return bad{load: func(r engine.Records, t engine.Table, each tell) (first error) {
			err := r.Load(t, func(k string, v []byte) error {
				first = cmp.Or(first, each(k, v))
				return nil
			})
			return cmp.Or(first, err)
		}}
	},
	"never closed": func() bad { return bad{sync: func(engine.Records) error { return nil }} },
}

func tellFirst(j engine.Journal, entries []*engine.Entry) (bus.Position, error) {
	last, err := j.Append(entries...)
	return last - bus.Position(max(len(entries), 1)-1), err
}

func breakUp(j engine.Journal, entries []*engine.Entry) (last bus.Position, err error) {
	for _, e := range entries {
		if last, err = j.Append(e); err != nil {
			return 0, err
		}
		runtime.Gosched()
	}
	return last, nil
}

func turnRound(j engine.Journal, entries []*engine.Entry) (bus.Position, error) {
	out := make([]*engine.Entry, len(entries))
	for i, e := range entries {
		out[len(out)-1-i] = e
	}
	return j.Append(out...)
}

func setPositions(j engine.Journal, entries []*engine.Entry) (bus.Position, error) {
	last, err := j.Append(entries...)
	for i, e := range entries {
		e.Position = last - bus.Position(len(entries)-1-i)
	}
	return last, err
}

func readAfter(j engine.Journal, from bus.Position, max int) ([]*engine.Entry, error) {
	return j.Read(context.Background(), from+1, max)
}

func readMore(j engine.Journal, from bus.Position, max int) ([]*engine.Entry, error) {
	return j.Read(context.Background(), from, max+min(1, 1<<20-max))
}

func readNone(j engine.Journal, from bus.Position, max int) ([]*engine.Entry, error) {
	got, err := j.Read(context.Background(), from, max)
	if len(got) == 1 && max > 1 {
		return nil, nil // the newest, when there is room for more
	}
	return got, err
}

func readTrimmed(j engine.Journal, from bus.Position, n int) ([]*engine.Entry, error) {
	first, _ := j.Bounds()
	return j.Read(context.Background(), max(from, first), n)
}

func keepBuffer() bad {
	var mu sync.Mutex
	given := make(map[string][]byte)
	return bad{
		put: func(r engine.Records, t engine.Table, k string, v []byte) error {
			mu.Lock()
			defer mu.Unlock()
			given[string(t)+k] = v
			return r.Put(t, k, v)
		},
		load: func(r engine.Records, t engine.Table, each tell) error {
			return r.Load(t, func(k string, _ []byte) error {
				mu.Lock()
				v := given[string(t)+k]
				mu.Unlock()
				return each(k, v)
			})
		},
	}
}

func putOnce() func(engine.Records, engine.Table, string, []byte) error {
	return func(r engine.Records, t engine.Table, k string, v []byte) error {
		there := errors.New("there is one")
		err := r.Load(t, func(have string, _ []byte) error {
			if have == k {
				return there
			}
			return nil
		})
		if errors.Is(err, there) {
			return nil
		}
		return r.Put(t, k, v)
	}
}

func loadTwice(r engine.Records, t engine.Table, each tell) error {
	if err := r.Load(t, each); err != nil {
		return err
	}
	return r.Load(t, each)
}

// loadSome gives up after 1,000 records.
func loadSome(r engine.Records, t engine.Table, each tell) error {
	n, enough := 0, errors.New("enough")
	err := r.Load(t, func(k string, v []byte) error {
		if n++; n > 1000 {
			return enough
		}
		return each(k, v)
	})
	if errors.Is(err, enough) {
		return nil
	}
	return err
}

func boundsOfNone(j engine.Journal) (first, last bus.Position) {
	if first, last = j.Bounds(); first > last {
		return 0, 0
	}
	return first, last
}

func forgottenEnd(j engine.Journal) (first, last bus.Position) {
	if first, last = j.Bounds(); first > last {
		return 1, 0
	}
	return first, last
}

// trimAhead says trimmed before a position that was trimmed when nothing was
// there.
func trimAhead() bad {
	var ahead atomic.Uint64
	return bad{
		trim: func(j engine.Journal, before bus.Position) error {
			if _, last := j.Bounds(); last == 0 {
				ahead.Store(uint64(before))
			}
			return j.Trim(before)
		},
		read: func(j engine.Journal, from bus.Position, max int) ([]*engine.Entry, error) {
			if uint64(from) < ahead.Load() {
				return nil, engine.ErrTrimmed
			}
			return j.Read(context.Background(), from, max)
		},
	}
}

// limited takes payloads and records of up to n bytes; of a batch that has a
// larger one it may keep what comes before that.
func limited(n int, refusal error, keepsSome bool) bad {
	return bad{
		append: func(j engine.Journal, entries []*engine.Entry) (bus.Position, error) {
			for i, e := range entries {
				if len(e.Payload) <= n {
					continue
				}
				if keepsSome {
					if _, err := j.Append(entries[:i]...); err != nil {
						return 0, err
					}
				}
				return 0, refusal
			}
			return j.Append(entries...)
		},
		put: func(r engine.Records, t engine.Table, k string, v []byte) error {
			if len(v) <= n {
				return r.Put(t, k, v)
			}
			if keepsSome {
				if err := r.Put(t, k, v[:n]); err != nil {
					return err
				}
			}
			return refusal
		},
	}
}
