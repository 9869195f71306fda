package mqtt_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"omnibus/dialect/mqtt"
)

// naive is a flight as one would write it: a list.
type naive struct {
	ids  []uint16
	old  map[uint16]bool
	last uint16
}

func following(id uint16) uint16 {
	if id == 65535 {
		return 1
	}
	return id + 1
}

func (n *naive) add() (uint16, bool) {
	id := following(n.last)
	// Identifiers are a window: the next one is in use when the oldest has it.
	if len(n.ids) > 0 && n.ids[0] == id {
		return 0, false
	}
	n.last = id
	n.ids = append(n.ids, id)
	return id, true
}

func (n *naive) end(id uint16) bool {
	at := slices.Index(n.ids, id)
	if at < 0 {
		return false
	}
	n.ids = slices.Delete(n.ids, at, at+1)
	delete(n.old, id)
	return true
}

func TestAFlightIsAList(t *testing.T) {
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 1))
		var f mqtt.Flight
		n := naive{old: make(map[uint16]bool)}
		most := []int{1, 10, 300}[random.IntN(3)]
		check := func(step int) {
			t.Helper()
			ids, old := f.All()
			if !slices.Equal(ids, n.ids) || f.Open() != len(n.ids) || f.Old() != len(n.old) {
				t.Fatalf("seed %d, step %d: %v with %d open and %d old, want %v with %d old", seed, step, ids, f.Open(), f.Old(), n.ids, len(n.old))
			}
			for i, id := range ids {
				if old[i] != n.old[id] {
					t.Fatalf("seed %d, step %d: %d is old: %v", seed, step, id, old[i])
				}
			}
		}
		for step := range 4000 {
			switch random.IntN(9) {
			default:
				if len(n.ids) >= most {
					continue
				}
				got, ok := f.Add(1)
				if want, wantOK := n.add(); got != want || ok != wantOK {
					t.Fatalf("seed %d, step %d: identifier %d, %v; want %d, %v", seed, step, got, ok, want, wantOK)
				}
				if ok && random.IntN(10) == 0 {
					f.TakeBack()
					n.last = got - 1
					if got == 1 {
						n.last = 65535
					}
					n.end(got)
				}
			case 4, 5, 6:
				id := uint16(random.IntN(65536))
				if len(n.ids) > 0 && random.IntN(20) > 0 {
					id = n.ids[random.IntN(len(n.ids))]
				}
				if got, want := f.End(id), n.end(id); got != want {
					t.Fatalf("seed %d, step %d: %d was in use: %v", seed, step, id, got)
				}
			case 7:
				if len(n.ids) > 0 {
					id := n.ids[random.IntN(len(n.ids))]
					f.Renew(id)
					delete(n.old, id)
				}
			case 8:
				if random.IntN(10) == 0 {
					f.Age()
					for _, id := range n.ids {
						n.old[id] = true
					}
				}
			}
			if step%7 == 0 {
				check(step)
			}
		}
		check(-1)
	}
}

func TestAFlightGoesRound(t *testing.T) {
	var f mqtt.Flight
	n := naive{old: make(map[uint16]bool)}
	random := rand.New(rand.NewPCG(3, 4))
	full := 0
	for step := range 400_000 {
		got, ok := f.Add(1)
		want, wantOK := n.add()
		if got != want || ok != wantOK {
			t.Fatalf("step %d: identifier %d, %v; want %d, %v", step, got, ok, want, wantOK)
		}
		if !ok {
			full++
		}
		// The oldest stays for long, so that the window gets as large as it can.
		if !ok || len(n.ids) > 20 {
			at := random.IntN(len(n.ids)-1) + 1
			if !ok {
				at = 0
			}
			id := n.ids[at]
			if !f.End(id) || !n.end(id) || f.End(id) {
				t.Fatalf("step %d: ending %d", step, id)
			}
		}
	}
	if full < 5 {
		t.Errorf("the window was full %d times only", full)
	}
	if ids, _ := f.All(); !slices.Equal(ids, n.ids) {
		t.Errorf("in use are %v, want %v", ids, n.ids)
	}
}
