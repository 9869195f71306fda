package payload

// Converter turns the bytes of one form into those of another. It must not
// keep or change what it is given; what it returns may be a part of it.
type Converter func(src []byte) ([]byte, error)

// Codecs holds converters for forms beyond the built-in ones. The wiring fills
// it before the first message and nobody changes it afterwards. A nil *Codecs
// has none.
type Codecs struct {
	table map[[2]Form]Converter
}

// Add hands in the converter from one form to another; it takes precedence
// over a built-in one. One that goes to or from JSON or Args makes every other
// form reachable. Raw and Go are decided before anything is converted: there
// is no converter from or to them.
func (c *Codecs) Add(from, to Form, f Converter) {
	if c.table == nil {
		c.table = make(map[[2]Form]Converter)
	}
	c.table[[2]Form{from, to}] = f
}

// step returns the converter that goes straight from one form to another, nil
// when there is none.
func (c *Codecs) step(from, to Form) Converter {
	if c != nil {
		if f := c.table[[2]Form{from, to}]; f != nil {
			return f
		}
	}
	return builtin(from, to)
}

// via returns the last form on the way from one to another: JSON or Args,
// which each may be reached by the other.
func (c *Codecs) via(from, to Form) (Form, bool) {
	for _, hubs := range [...][2]Form{{JSON, Args}, {Args, JSON}} {
		last, first := hubs[0], hubs[1]
		if from == last || to == last || c.step(last, to) == nil {
			continue
		}
		if c.step(from, last) != nil || from != first && to != first && c.step(from, first) != nil {
			return last, true
		}
	}
	return Empty, false
}
