package enginetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"omnibus/bus"
	"omnibus/engine"
)

// History is what a program saw, one line a step. Positions are told by which
// entry they belong to, so that the histories of two engines can be compared.
type History []string

// Play opens an engine in dir, plays p on it, and closes it. The error is that
// of opening or closing; all others are history.
func Play(ctx context.Context, f Factory, dir string, p Program) (History, error) {
	return playWhile(ctx, f, dir, p, func(int, string) bool { return true })
}

// playWhile is Play that ends early when more, which is told each line, says
// so.
func playWhile(ctx context.Context, f Factory, dir string, p Program, more func(i int, line string) bool) (h History, err error) {
	y := player{ctx: ctx, known: make(map[bus.Position]int)}
	if y.Engine, err = f.Open(dir); err != nil {
		return nil, fmt.Errorf("opening: %w", err)
	}
	for i, s := range p {
		if s.verb == reopenStep {
			if err := y.Close(); err != nil {
				return h, fmt.Errorf("closing: %w", err)
			}
			if y.Engine, err = f.Open(dir); err != nil {
				return h, fmt.Errorf("opening again: %w", err)
			}
		}
		h = append(h, y.play(s))
		if !more(i, h[i]) {
			break
		}
	}
	if err := y.Close(); err != nil {
		return h, fmt.Errorf("closing: %w", err)
	}
	return h, nil
}

// player is a program under way.
type player struct {
	engine.Engine

	ctx      context.Context // it lives as long as Play
	at       []bus.Position  // of all entries ever appended
	appended []*engine.Entry
	known    map[bus.Position]int
}

func (y *player) play(s step) string {
	switch s.verb {
	case appendStep:
		return y.append(s)
	case readStep:
		return y.read(y.position(s.a), 1+int(s.b%8))
	case readAfterStep:
		return y.read(y.position(s.a)+1, 1+int(s.b%8))
	case trimStep:
		return outcomeOf(y.Journal().Trim(y.position(s.a) + bus.Position(s.b%2)))
	case boundsStep:
		return y.bounds()
	case flushStep:
		return y.flush()
	case putStep:
		return outcomeOf(y.Records().Put(s.record()))
	case deleteStep:
		t, key, _ := s.record()
		return outcomeOf(y.Records().Delete(t, key))
	case listStep:
		t, _, _ := s.record()
		return y.list(t)
	case syncStep:
		return outcomeOf(y.Records().Sync(y.ctx))
	default:
		return "opened again, " + y.bounds()
	}
}

// position is that of one of the entries ever appended, or zero.
func (y *player) position(a uint64) bus.Position {
	if a %= uint64(len(y.at) + 1); a > 0 {
		return y.at[a-1]
	}
	return 0
}

// name is the inverse of position.
func (y *player) name(p bus.Position) string {
	n, ok := y.known[p]
	switch {
	case ok:
		return fmt.Sprintf("#%d", n)
	case p == 0:
		return "none"
	default:
		return fmt.Sprintf("position %d, which was never given", p)
	}
}

func (y *player) append(s step) string {
	entries := s.entries()
	last, err := y.Journal().Append(entries...)
	if err != nil {
		return outcomeOf(err)
	}
	for i, p := range consecutive(last, len(entries)) {
		if len(y.at) > 0 && p <= y.at[len(y.at)-1] {
			return fmt.Sprintf("position %d after %d", p, y.at[len(y.at)-1])
		}
		y.known[p] = len(y.at)
		y.at = append(y.at, p)
		y.appended = append(y.appended, entries[i])
	}
	return fmt.Sprintf("up to #%d", len(y.at)-1)
}

// read reads n entries, in as many goes as the engine needs.
func (y *player) read(from bus.Position, n int) string {
	var seen []string
	for len(seen) < n {
		got, err := y.Journal().Read(y.ctx, from, n-len(seen))
		if err != nil {
			return outcomeOf(err)
		}
		if len(got) == 0 {
			seen = append(seen, "end")
			break
		}
		for _, e := range got {
			seen = append(seen, y.describe(e))
			from = e.Position + 1
		}
	}
	return strings.Join(seen, ", ")
}

func (y *player) describe(e *engine.Entry) string {
	out := y.name(e.Position)
	if n, ok := y.known[e.Position]; ok {
		if d := difference(e, y.appended[n]); d != "" {
			out += ", changed: " + d
		}
	}
	return out
}

func (y *player) bounds() string {
	first, last := y.Journal().Bounds()
	if first == last+1 {
		return "nothing after " + y.name(last)
	}
	return y.name(first) + " to " + y.name(last)
}

// flush waits until all that was appended is durable.
func (y *player) flush() string {
	_, last := y.Journal().Bounds()
	for {
		now, changed, err := y.Journal().Flushed()
		if now >= last {
			return "flushed"
		}
		if err != nil {
			return "flushed up to " + y.name(now) + " only: " + outcomeOf(err)
		}
		select {
		case <-changed:
		case <-y.ctx.Done():
			return "flushed up to " + y.name(now) + " only"
		}
	}
}

func (y *player) list(t engine.Table) string {
	all := make(map[string]string)
	err := y.Records().Load(t, func(k string, v []byte) error {
		all[k] += fmt.Sprintf(" %x", v)
		return nil
	})
	if err != nil {
		return outcomeOf(err)
	}
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%.12q:%s; ", k, all[k])
	}
	return b.String()
}

// outcomeOf names an error so that it is the same for every engine.
func outcomeOf(err error) string {
	if err == nil {
		return "done"
	}
	for _, known := range []error{engine.ErrClosed, engine.ErrTrimmed, engine.ErrFull, engine.ErrTooLarge} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "error: " + err.Error()
}
