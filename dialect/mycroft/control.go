package mycroft

import (
	"encoding/json"

	"omnibus/bus"
	"omnibus/dialect/mycroft/packet"
)

// The control messages: they are for the hub and not relayed.
const (
	controlExpose   = "omnibus.expose"
	controlUnexpose = "omnibus.unexpose"
	controlSelect   = "omnibus.select"
)

// control handles a message that is meant for the hub; false for all others.
func (s *session) control(m packet.Message) bool {
	var err error
	switch m.Type {
	case controlExpose, controlUnexpose:
		err = s.provide(m)
	case controlSelect:
		err = s.choose(m)
		if err == nil {
			return true // it has been answered, in its place among the messages
		}
	default:
		return false
	}
	d := accepted
	if err != nil {
		s.hub.count.rejected.Add(1)
		d = answer(nil, err)
	}
	s.send(packet.Append(nil, m.Type+responseSuffix, d, packet.Response(m.Context)))
	return true
}

var accepted = []byte(`{"ok":true}`)

// provide declares a service or takes it back.
func (s *session) provide(m packet.Message) error {
	var body struct {
		Service string `json:"service"`
	}
	if err := json.Unmarshal(m.Data, &body); err != nil || body.Service == "" {
		return bus.Errorf(bus.Invalid, "", `data must name a service: {"service": "name"}`)
	}
	if m.Type == controlExpose {
		return s.expose(body.Service)
	}
	e := s.exposed[body.Service]
	delete(s.exposed, body.Service)
	if e == nil || !e.Withdraw() {
		return bus.Errorf(bus.Unknown, body.Service, "this client has not declared the service")
	}
	return nil
}

func (s *session) expose(name string) error {
	if e := s.exposed[name]; e != nil && !e.Withdrawn() {
		return nil
	}
	e, err := s.peer.Expose(name, s.hub.call)
	if err == nil {
		if s.exposed == nil {
			s.exposed = make(map[string]*bus.Exposure)
		}
		s.exposed[name] = e
	}
	return err
}

// choose changes what the client gets. After the answer comes nothing else.
func (s *session) choose(m packet.Message) error {
	var body struct {
		Types *[]string `json:"types"`
	}
	if json.Unmarshal(m.Data, &body) != nil {
		return bus.Errorf(bus.Invalid, "", `data must list types: {"types": ["speak", "mycroft.*"]}; null is everything`)
	}
	var chosen *selection
	if body.Types != nil {
		var err error
		if chosen, err = newSelection(*body.Types, s.hub.config.MaxPatterns); err != nil {
			return bus.Errorf(bus.Invalid, "", "%w", err)
		}
	}
	s.hub.choose(s, chosen, packet.Append(nil, m.Type+responseSuffix, accepted, packet.Response(m.Context)))
	return nil
}
