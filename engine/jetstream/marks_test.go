package jetstream_test

import (
	"testing"

	"omnibus/bus"
	"omnibus/engine/jetstream"
)

const jump = 1 << 32

func TestPositionsGoOnAfterARestart(t *testing.T) {
	gap := func(after, next bus.Position) jetstream.Gap { return jetstream.Gap{After: after, Next: next} }
	type ends struct{ first, last, next bus.Position }
	for name, c := range map[string]struct {
		saved                   jetstream.Saved
		streamFirst, streamLast bus.Position
		purged                  bool
		want                    ends
	}{
		"new":                         {want: ends{1, 0, 1}},
		"closed":                      {jetstream.Saved{Clean: true, Last: 7, Next: 8}, 1, 7, false, ends{1, 7, 8}},
		"closed, all given up":        {jetstream.Saved{Clean: true, Last: 7, Gone: 7, Next: 8}, 1, 7, false, ends{8, 7, 8}},
		"closed, some given up":       {jetstream.Saved{Clean: true, Last: 7, Gone: 3, Next: 8}, 2, 7, true, ends{4, 7, 8}},
		"killed":                      {jetstream.Saved{Next: 1}, 1, 7, false, ends{1, 7, 8 + jump}},
		"killed before anything":      {jetstream.Saved{Next: 1}, 0, 0, false, ends{1, 0, 1 + jump}},
		"killed after a purge":        {jetstream.Saved{Next: 1}, 5, 7, true, ends{5, 7, 8 + jump}},
		"killed, then power lost":     {jetstream.Saved{Last: 7, Next: 8 + jump, Gaps: []jetstream.Gap{gap(7, 8+jump)}}, 1, 6, false, ends{1, 6, 8 + 2*jump}},
		"killed twice":                {jetstream.Saved{Last: 7, Next: 8 + jump, Gaps: []jetstream.Gap{gap(7, 8+jump)}}, 1, 7, false, ends{1, 7, 8 + 2*jump}},
		"closed, and then the stream": {jetstream.Saved{Clean: true, Last: 7, Next: 8}, 1, 5, false, ends{1, 5, 8 + jump}},
		"the state is lost":           {jetstream.Saved{}, 1, 7, false, ends{1, 7, 8 + jump}},
	} {
		m := jetstream.Resume(c.saved, c.streamFirst, c.streamLast, c.purged)
		if got := (ends{m.First(), m.Last(), m.Next()}); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestGapsAreNoEntries(t *testing.T) {
	saved := jetstream.Saved{Last: 7, Next: 100, Gaps: []jetstream.Gap{{After: 4, Next: 50}}}
	m := jetstream.Resume(saved, 1, 52, false) // 1 to 4, 50 to 52
	for p, want := range map[bus.Position]bus.Position{0: 1, 4: 4, 5: 50, 49: 50, 50: 50, 52: 52} {
		if got := m.Held(p); got != want {
			t.Errorf("the first at %d or after is %d, want %d", p, got, want)
		}
	}
	if n := m.Count(); n != 7 {
		t.Errorf("%d entries, want 7", n)
	}
	if n := m.GiveUp(20); n != 4 || m.First() != 50 || m.Gone() != 4 {
		t.Errorf("%d given up, from %d, up to %d; want 4, 50, 4", n, m.First(), m.Gone())
	}
	if n := m.GiveUp(1000); n != 3 || m.First() != 53 || m.Gone() != 52 {
		t.Errorf("%d given up, from %d, up to %d; want 3, 53, 52", n, m.First(), m.Gone())
	}
}
