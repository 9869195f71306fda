package catalogue

import (
	"path"
	"slices"
	"strings"
	"sync"
)

// Direction tells what a message of a type is for.
type Direction string

// The directions.
const (
	// Request asks for something to be done.
	Request Direction = "request"
	// Query asks for something to be told.
	Query Direction = "query"
	// Answer tells what a query asked for.
	Answer Direction = "answer"
	// Event tells what is about to happen or has happened.
	Event Direction = "event"
	// Local is no message at all: a client library tells its own program so.
	Local Direction = "local"
	// Family stands for all types that begin alike.
	Family Direction = "family"
)

// Type is one message type.
type Type struct {
	Name      string    `json:"name"`
	Direction Direction `json:"direction"`
	// Fields are the members of data; none are documented for many types.
	Fields []Field `json:"fields,omitempty"`
	// Description says what a message of the type means.
	Description string `json:"description"`
}

// Field is a member of a message's data.
type Field struct {
	Name string `json:"name"`
	// Kind is what the value is: text, number, bool, list, object or any.
	Kind string `json:"kind"`
	// Description is empty where the name says it all.
	Description string `json:"description,omitempty"`
}

// Types returns the 85 documented types, in the order of their documentation.
// Two of them are families, whose names end in ".*".
func Types() []Type {
	return copied(slices.Concat(voice(), audio(), skills(), system(), conversations()))
}

// Undocumented returns types that the original programs send without
// documenting them.
func Undocumented() []Type { return copied(undocumented()) }

// Known reports whether a name is the type of messages on a bus: one of those
// that Types and Undocumented return, or a member of one of their families. The
// local events of client libraries are not.
func Known(name string) bool {
	all := index()
	if t, ok := all.exact[name]; ok {
		return t.Direction != Local
	}
	return slices.ContainsFunc(all.families, func(t Type) bool { return t.embraces(name) })
}

// Find returns the type of a name, or the family it belongs to.
func Find(name string) (Type, bool) {
	all := index()
	t, ok := all.exact[name]
	if i := slices.IndexFunc(all.families, func(t Type) bool { return t.embraces(name) }); !ok && i >= 0 {
		t, ok = all.families[i], true
	}
	t.Fields = slices.Clone(t.Fields)
	return t, ok
}

// index finds types by their names. It is made when it is first needed and
// never changes.
var index = sync.OnceValue(func() (all struct {
	exact    map[string]Type
	families []Type
},
) {
	all.exact = make(map[string]Type)
	for _, t := range slices.Concat(Types(), Undocumented()) {
		if t.Direction == Family {
			all.families = append(all.families, t)
		} else {
			all.exact[t.Name] = t
		}
	}
	return all
})

// embraces reports whether a name belongs to this family. The second level of
// two families stands for somebody's name.
func (t Type) embraces(name string) bool {
	if slices.Contains(strings.Split(name, "."), "") {
		return false
	}
	pattern := strings.NewReplacer("namespace", "*", "github_username", "*").Replace(t.Name)
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

func copied(list []Type) []Type {
	for i := range list {
		list[i].Fields = slices.Clone(list[i].Fields)
	}
	return list
}

// alike are types that differ in their names alone.
func alike(d Direction, description string, fields []Field, names ...string) []Type {
	list := make([]Type, len(names))
	for i, name := range names {
		list[i] = Type{Name: name, Direction: d, Fields: fields, Description: description}
	}
	return list
}

func one(name string, d Direction, description string, fields ...Field) []Type {
	return []Type{{Name: name, Direction: d, Fields: fields, Description: description}}
}

// Fields of more than one type.
var (
	lang     = Field{"lang", "text", "language code such as en-us"}
	phrase   = Field{"phrase", "text", "what was asked, the key that joins query and answers"}
	skillID  = Field{"skill_id", "text", "the skill that this is about"}
	callback = Field{"callback_data", "any", "handed back to the skill when it is chosen"}
	conf     = Field{"conf", "number", "how sure the skill is, 0 to 1"}
)
