package packet

import "iter"

// UserProperties are pairs of strings in an order that means something, in which
// names may repeat (3.3.2.3.7). They are kept as they are written in a packet, so
// decoding and forwarding them costs nothing per pair; the zero value has none.
// Decoded ones are a view of the body.
type UserProperties []byte

// All are the pairs in their order. Reading stops where the bytes are no properties,
// which does not happen for those that were decoded or made by Append.
func (u UserProperties) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		var p property
		for rest := []byte(u); len(rest) > 0; {
			var ok bool
			if rest, ok = cutProperty(rest, &p); !ok {
				return
			}
			if p.id == UserProperty && !yield(view(p.data), view(p.value)) {
				return
			}
		}
	}
}

// Get is the value of the first pair with the name.
func (u UserProperties) Get(name string) (value string, ok bool) {
	for n, v := range u.All() {
		if n == name {
			return v, true
		}
	}
	return "", false
}

// Append adds a pair at the end and returns the result, in the manner of append:
// on what was decoded, it allocates. Strings of more than 65,535 bytes cannot be
// written; the pair is not added then.
func (u UserProperties) Append(name, value string) UserProperties {
	if len(name) > maxString || len(value) > maxString {
		return u
	}
	u = append(u, byte(UserProperty))
	u = append(append(u, byte(len(name)>>8), byte(len(name))), name...)
	return append(append(u, byte(len(value)>>8), byte(len(value))), value...)
}

// SubscriptionIDs are the subscription identifiers of a PUBLISH (3.3.2.3.8), kept
// as they are written in a packet. The zero value has none. Decoded ones are a
// view of the body.
type SubscriptionIDs []byte

// All are the identifiers.
func (s SubscriptionIDs) All() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		var p property
		for rest := []byte(s); len(rest) > 0; {
			var ok bool
			if rest, ok = cutProperty(rest, &p); !ok {
				return
			}
			if p.id == SubscriptionIdentifier && !yield(p.num) {
				return
			}
		}
	}
}

// Append adds an identifier, from 1 to 268,435,455, in the manner of append. Others
// cannot be written and are not added.
func (s SubscriptionIDs) Append(id uint32) SubscriptionIDs {
	if id == 0 || id > maxRemaining {
		return s
	}
	return appendVarint(append(s, byte(SubscriptionIdentifier)), int(id))
}

// appendOnly appends the properties with one id that are in section. Others may
// stand between them in what was decoded.
func appendOnly(dst, section []byte, id PropertyID) []byte {
	var p property
	for len(section) > 0 {
		rest, ok := cutProperty(section, &p)
		if !ok {
			return dst
		}
		if p.id == id {
			dst = append(dst, section[:len(section)-len(rest)]...)
		}
		section = rest
	}
	return dst
}

// sizeOnly is how much appendOnly appends.
func sizeOnly(section []byte, id PropertyID) int {
	n := 0
	var p property
	for len(section) > 0 {
		rest, ok := cutProperty(section, &p)
		if !ok {
			return n
		}
		if p.id == id {
			n += len(section) - len(rest)
		}
		section = rest
	}
	return n
}
