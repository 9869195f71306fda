package enginetest_test

import (
	"context"

	"omnibus/bus"
	"omnibus/engine"
)

// tell is what Load is given.
type tell = func(key string, value []byte) error

// bad is an engine with one fault. What is nil does what the engine below does.
type bad struct {
	engine.Engine

	promise func(engine.Promise) engine.Promise
	append  func(engine.Journal, []*engine.Entry) (bus.Position, error)
	read    func(j engine.Journal, from bus.Position, max int) ([]*engine.Entry, error)
	flushed func(engine.Journal) (bus.Position, <-chan struct{}, error)
	bounds  func(engine.Journal) (first, last bus.Position)
	trim    func(engine.Journal, bus.Position) error
	put     func(engine.Records, engine.Table, string, []byte) error
	delete  func(engine.Records, engine.Table, string) error
	load    func(engine.Records, engine.Table, tell) error
	sync    func(engine.Records) error
}

type (
	badJournal struct {
		engine.Journal
		*bad
	}
	badRecords struct {
		engine.Records
		*bad
	}
)

func (b *bad) Journal() engine.Journal { return badJournal{b.Engine.Journal(), b} }
func (b *bad) Records() engine.Records { return badRecords{b.Engine.Records(), b} }

func (b *bad) Promise() engine.Promise {
	if b.promise != nil {
		return b.promise(b.Engine.Promise())
	}
	return b.Engine.Promise()
}

func (b badJournal) Append(entries ...*engine.Entry) (bus.Position, error) {
	if b.append != nil {
		return b.append(b.Journal, entries)
	}
	return b.Journal.Append(entries...)
}

func (b badJournal) Read(ctx context.Context, from bus.Position, max int) ([]*engine.Entry, error) {
	if b.read != nil {
		return b.read(b.Journal, from, max)
	}
	return b.Journal.Read(ctx, from, max)
}

func (b badJournal) Flushed() (upto bus.Position, changed <-chan struct{}, err error) {
	if b.flushed != nil {
		return b.flushed(b.Journal)
	}
	return b.Journal.Flushed()
}

func (b badJournal) Bounds() (first, last bus.Position) {
	if b.bounds != nil {
		return b.bounds(b.Journal)
	}
	return b.Journal.Bounds()
}

func (b badJournal) Trim(before bus.Position) error {
	if b.trim != nil {
		return b.trim(b.Journal, before)
	}
	return b.Journal.Trim(before)
}

func (b badRecords) Put(t engine.Table, key string, value []byte) error {
	if b.put != nil {
		return b.put(b.Records, t, key, value)
	}
	return b.Records.Put(t, key, value)
}

func (b badRecords) Delete(t engine.Table, key string) error {
	if b.delete != nil {
		return b.delete(b.Records, t, key)
	}
	return b.Records.Delete(t, key)
}

func (b badRecords) Load(t engine.Table, each func(key string, value []byte) error) error {
	if b.load != nil {
		return b.load(b.Records, t, each)
	}
	return b.Records.Load(t, each)
}

func (b badRecords) Sync(ctx context.Context) error {
	if b.sync != nil {
		return b.sync(b.Records)
	}
	return b.Records.Sync(ctx)
}

// changed appends entries after a change to each.
func changed(change func(*engine.Entry)) func(engine.Journal, []*engine.Entry) (bus.Position, error) {
	return func(j engine.Journal, entries []*engine.Entry) (bus.Position, error) {
		out := make([]*engine.Entry, len(entries))
		for i, e := range entries {
			k := *e
			change(&k)
			out[i] = &k
		}
		return j.Append(out...)
	}
}
