package enginetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"omnibus/bus"
	"omnibus/engine"
	"omnibus/payload"
)

// Program is a list of steps that anybody can play on an engine. Numbers in it
// count what there is at that moment and wrap around, so that every part of a
// program is a program.
type Program []step

type step struct {
	verb verb
	a, b uint64
}

type verb uint8

const (
	appendStep verb = iota
	readStep
	readAfterStep
	trimStep
	boundsStep
	flushStep
	putStep
	deleteStep
	listStep
	syncStep
	reopenStep
)

var verbs = [...]struct {
	name   string
	weight int
}{
	appendStep:    {"append", 30},
	readStep:      {"read", 15},
	readAfterStep: {"read after", 10},
	trimStep:      {"trim", 4},
	boundsStep:    {"bounds", 6},
	flushStep:     {"flush", 3},
	putStep:       {"put", 20},
	deleteStep:    {"delete", 8},
	listStep:      {"list", 6},
	syncStep:      {"sync", 2},
	reopenStep:    {"reopen", 2},
}

// Generate makes a program of a seed, always the same.
func Generate(seed uint64, steps int) Program {
	r := rand.New(rand.NewPCG(seed, 0))
	var bag []verb
	for v, w := range verbs {
		bag = append(bag, slices.Repeat([]verb{verb(v)}, w.weight)...)
	}
	p := make(Program, steps)
	for i := range p {
		p[i] = step{bag[r.IntN(len(bag))], r.Uint64N(1e6), r.Uint64N(1e6)}
	}
	return p
}

// String writes one step a line.
func (p Program) String() string {
	var b strings.Builder
	for i, s := range p {
		fmt.Fprintf(&b, "%4d  %s\n", i, s)
	}
	return b.String()
}

func (s step) String() string { return fmt.Sprintf("%s %d %d", verbs[s.verb].name, s.a, s.b) }

// withoutReopen is the program for engines that forget.
func (p Program) withoutReopen() Program {
	return slices.DeleteFunc(slices.Clone(p), func(s step) bool { return s.verb == reopenStep })
}

// entries are what an append step appends.
func (s step) entries() []*engine.Entry {
	r := rand.New(rand.NewPCG(s.a, s.b))
	out := make([]*engine.Entry, 1+s.b%4)
	for i := range out {
		e := &engine.Entry{Time: r.Int64(), Topic: pick(r, programNames), Tenant: pick(r, []string{"", "", "other"})}
		out[i] = e
		if r.IntN(4) == 0 {
			e.Kind, e.Session, e.Step = engine.StepEntry, pick(r, programNames), randomBytes(r)
			continue
		}
		e.Form, e.Payload = payload.Form(r.IntN(int(payload.Arrow)+1)), randomBytes(r)
		e.QoS, e.Retain, e.Expires = uint8(r.IntN(3)), r.IntN(2) == 0, r.Int64()
		for range r.IntN(3) {
			e.Headers = append(e.Headers, bus.Header{Key: pick(r, programNames), Value: string(randomBytes(r))})
		}
		e.ID, e.From = pick(r, []string{"", "id"}), pick(r, []string{"", "mqtt/a"})
	}
	return out
}

// record is what the steps about records are about.
func (s step) record() (t engine.Table, key string, value []byte) {
	r := rand.New(rand.NewPCG(s.a, s.b))
	return tables[s.a%2], programNames[s.b%uint64(len(programNames))], randomBytes(r)
}

var programNames = []string{"a", "a/b", "A", "a.b", "*", "#", "%2A", " ", "\x00", "é", "\xff", strings.Repeat("long/", 300)}

func pick(r *rand.Rand, of []string) string { return of[r.IntN(len(of))] }

func randomBytes(r *rand.Rand) []byte {
	out := make([]byte, min(r.IntN(100), r.IntN(100)))
	for i := range out {
		out[i] = byte(r.IntN(256))
	}
	return out
}
