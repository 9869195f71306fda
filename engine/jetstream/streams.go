package jetstream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// stream names: NAME_journal, NAME_records_TABLE.
func (o Options) journalStream() string            { return o.Name + "_journal" }
func (o Options) journalSubject() string           { return o.Name + ".journal" }
func (o Options) tableStream(table string) string  { return o.Name + "_records_" + table }
func (o Options) tableSubject(table string) string { return o.Name + ".records." + table }

func (o Options) journalConfig() jetstream.StreamConfig {
	c := o.config(o.journalStream(), o.journalSubject())
	c.Description = "the journal of a message bus, in blocks"
	return c
}

func (o Options) tableConfig(table string) jetstream.StreamConfig {
	c := o.config(o.tableStream(table), o.tableSubject(table)+".*")
	c.Description = "records of a message bus, one message each"
	c.MaxMsgsPerSubject = 1
	c.AllowMsgTTL = true
	return c
}

func (o Options) config(name, subject string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        name,
		Subjects:    []string{subject},
		Storage:     jetstream.FileStorage,
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardOld,
		Replicas:    o.Replicas,
		AllowDirect: true,
		DenyDelete:  false,
		Duplicates:  0,
		MaxMsgs:     -1,
		MaxBytes:    -1,
		MaxMsgSize:  -1,
	}
}

// ensure makes a stream unless it is there; if it is, it must be as the
// engine needs it.
func (l *link) ensure(ctx context.Context, want jetstream.StreamConfig) (info *jetstream.StreamInfo, made bool, err error) {
	s, err := l.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		made = true
		s, err = l.js.CreateStream(ctx, want)
	}
	if err != nil {
		return nil, false, fmt.Errorf("opening stream %s: %w", want.Name, err)
	}
	info = s.CachedInfo()
	got := info.Config
	for _, c := range []struct {
		what string
		ok   bool
	}{
		{"is kept in memory", got.Storage == want.Storage},
		{"has another retention policy than limits", got.Retention == want.Retention},
		{"has a bound on messages", got.MaxMsgs <= 0},
		{"has a bound on bytes", got.MaxBytes <= 0},
		{"has a bound on age", got.MaxAge == 0},
		{"has another bound on messages of a subject", max(got.MaxMsgsPerSubject, 0) == want.MaxMsgsPerSubject},
		{"does not allow direct get", got.AllowDirect},
		{"does not allow messages that expire", got.AllowMsgTTL == want.AllowMsgTTL},
		{"forbids purging", !got.DenyPurge},
		{"is sealed", !got.Sealed},
		{"acknowledges before it has written", got.PersistMode == want.PersistMode},
		{fmt.Sprintf("has %d replicas, %d are asked for", got.Replicas, want.Replicas), got.Replicas >= want.Replicas},
	} {
		if !c.ok {
			return nil, false, fmt.Errorf("opening stream %s: it %s", want.Name, c.what)
		}
	}
	return info, made, nil
}

// info asks for the state of a stream.
func (l *link) info(ctx context.Context, name string) (jetstream.StreamState, error) {
	s, err := l.js.Stream(ctx, name)
	if err != nil {
		return jetstream.StreamState{}, fmt.Errorf("asking for stream %s: %w", name, err)
	}
	return s.CachedInfo().State, nil
}

// purge removes the messages of a stream below a sequence number.
func (l *link) purge(ctx context.Context, name string, below uint64) error {
	s, err := l.js.Stream(ctx, name)
	if err == nil {
		err = s.Purge(ctx, jetstream.WithPurgeSequence(below))
	}
	if err != nil {
		return fmt.Errorf("purging stream %s: %w", name, err)
	}
	return nil
}
