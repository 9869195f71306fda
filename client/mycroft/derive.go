package mycroft

import "encoding/json"

const responseSuffix = ".response"

// Forward returns a message of another type and data in the same context.
func (m *Message) Forward(msgType string, data any) *Message {
	out := NewMessage(msgType, data)
	out.Context = m.contextOrEmpty()
	return out
}

// Reply returns an answer of another type. Its context is that of m, in which
// the members of context, if it is not nil, replace those of the same name; a
// destination in data replaces the one of the context; then source and
// destination are exchanged, if both are there.
func (m *Message) Reply(msgType string, data, context any) *Message {
	out, more := m.derive(msgType, data, context)
	c := objectOf(m.Context)
	c.overlay(more)
	if to := objectOf(out.Data).get("destination"); to != nil {
		c.set("destination", to)
	}
	if from, to := c.get("source"), c.get("destination"); from != nil && to != nil {
		c.set("source", to)
		c.set("destination", from)
	}
	out.Context = c.text()
	return out
}

// Response is Reply with the type that answers to m: its own with ".response".
func (m *Message) Response(data any) *Message {
	return m.Reply(m.Type+responseSuffix, data, nil)
}

// Publish returns a message to everybody: the context is that of m, with the
// members of context over it and without the member target.
func (m *Message) Publish(msgType string, data, context any) *Message {
	out, more := m.derive(msgType, data, context)
	c := objectOf(m.Context)
	c.overlay(more)
	c.remove("target")
	out.Context = c.text()
	return out
}

// derive returns a message with data, and the object that context is.
func (m *Message) derive(msgType string, data, context any) (*Message, object) {
	out := NewMessage(msgType, data)
	more, err := encode(context)
	if out.err == nil {
		out.err = err
	}
	return out, objectOf(more)
}

func (m *Message) contextOrEmpty() json.RawMessage {
	if len(m.Context) == 0 {
		return emptyObject
	}
	return m.Context
}
