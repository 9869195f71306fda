package broker

import (
	"hash/maphash"
	"strconv"
	"sync"
	"sync/atomic"
)

// knownIDs is how many identities one generation holds. A message that comes back
// after twice as many others is taken for a new one.
const knownIDs = 1 << 16

// known gives messages their identities and remembers those that were seen, as
// long as a link is there. It holds two generations of hashes: when the newer is
// full, the older is forgotten.
type known struct {
	links    atomic.Int64 // peers that are links to other brokers
	given    atomic.Uint64
	instance string
	seed     maphash.Seed

	mu         sync.Mutex
	older, now map[uint64]struct{}
}

func (k *known) init(instance string) { k.instance, k.seed = instance, maphash.MakeSeed() }

// identify returns the identity of a new message, none while there is no link.
func (k *known) identify() string {
	if k.links.Load() == 0 {
		return ""
	}
	id := k.instance + "-" + strconv.FormatUint(k.given.Add(1), 36)
	k.first(id)
	return id
}

// forget takes back what first has noted.
func (k *known) forget(id string) {
	h := maphash.String(k.seed, id)
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.now, h)
	delete(k.older, h)
}

// first notes an identity, and reports whether it is seen for the first time.
func (k *known) first(id string) bool {
	h := maphash.String(k.seed, id)
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.now[h]; ok {
		return false
	}
	if _, ok := k.older[h]; ok {
		return false
	}
	if k.now == nil || len(k.now) == knownIDs {
		k.older, k.now = k.now, make(map[uint64]struct{})
	}
	k.now[h] = struct{}{}
	return true
}
