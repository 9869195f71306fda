package mqtttest

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"omnibus/dialect/mqtt/packet"
)

// Script is a conversation, as it stands in a file.
type Script struct {
	// File is the path below the directory that was loaded, without ".txt".
	File string
	// Title is empty if the script is the only one of its file.
	Title string
	// Needs are the abilities that a broker must have for it.
	Needs []Ability
	// Shows are the ids of the statements named in its comments and in those at
	// the head of the file.
	Shows []string
	steps []step
}

// Name is the file and the title.
func (s *Script) Name() string {
	if s.Title == "" {
		return s.File
	}
	return s.File + "/" + strings.ReplaceAll(s.Title, " ", "-")
}

// Ability is what a broker may lack or not be set up for.
type Ability string

// The abilities scripts need.
const (
	// ACL is a broker on which nobody may publish or subscribe below denied/.
	ACL Ability = "acl"
	// Login is a broker that knows the user alice with the password
	// wonderland, refuses other passwords, and lets in who has no user name.
	Login Ability = "login"
	// Auth is a broker with the authentication method X-CHALLENGE: the client's
	// first data is a user name, the broker's a challenge, the client's next
	// data the HMAC-SHA256 of the challenge under the password. It knows the
	// user alice with the password wonderland.
	Auth Ability = "auth"
	// WebSocket is a broker that is reached by WebSocket, too.
	WebSocket Ability = "websocket"
	// ServerKeepAlive is a broker that wants to hear from clients every minute
	// at least, whatever they ask for.
	ServerKeepAlive Ability = "server-keepalive"
	// PacketLimit is a broker that takes packets of 100,000 bytes at most and
	// says so.
	PacketLimit Ability = "packet-limit"
	// Reasons is a broker that says why it closes a connection. No script needs
	// it: with a broker that lacks it, a step dropped is content with the end.
	Reasons Ability = "reasons"
	// Omnibus is this project's broker: what it chooses where the specification
	// leaves a choice.
	Omnibus Ability = "omnibus"
)

// Abilities are all of them.
func Abilities() []Ability {
	return []Ability{ACL, Login, Auth, WebSocket, ServerKeepAlive, PacketLimit, Reasons, Omnibus}
}

// verb is what a step does.
type verb byte

const (
	opens verb = iota
	sends
	sendsBytes
	receives
	isSilent
	isClosed
	isDropped
	closes
	connects
	resumes
	waits
	repeats
	groups
)

// step is one line; a group has steps of its own.
type step struct {
	verb      verb
	line      int
	who       []string
	version   packet.Version // of opens, connects, resumes
	websocket bool
	packet    *notation // of sends, receives, connects, resumes
	bytes     []rawPart // of sendsBytes
	text      bool      // the bytes go in a text frame of a WebSocket
	reason    value     // of isDropped
	written   string    // the reason as it is written
	wait      time.Duration
	from, to  value  // of repeats
	steps     []step // of repeats and groups
}

// Load reads every script below a directory, in the order of their paths.
func Load(dir fs.FS) ([]*Script, error) {
	var all []*Script
	err := fs.WalkDir(dir, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".txt" {
			return err
		}
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			return err
		}
		scripts, err := Parse(strings.TrimSuffix(name, ".txt"), string(text))
		all = append(all, scripts...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("loading scripts: %w", err)
	}
	return all, nil
}

// Parse reads the scripts of one file.
func Parse(file, text string) ([]*Script, error) {
	p := parser{file: file, vars: make(map[string]bool)}
	p.head.File = file
	p.script = &p.head
	for line := range strings.Lines(text) {
		p.line++
		if err := p.read(strings.TrimSpace(line)); err != nil {
			return nil, fmt.Errorf("%s.txt:%d: %w", file, p.line, err)
		}
	}
	if err := p.finish(); err != nil {
		return nil, fmt.Errorf("%s.txt:%d: %w", file, p.line, err)
	}
	if len(p.scripts) == 0 {
		if len(p.head.steps) == 0 {
			return nil, fmt.Errorf("%s.txt: there is no step", file)
		}
		p.scripts = []*Script{&p.head}
	}
	return p.scripts, nil
}

type parser struct {
	file    string
	line    int
	head    Script // what stands before the first title
	scripts []*Script
	script  *Script
	group   *step           // the open one
	vars    map[string]bool // variables that have a value by now
}

// statementID is how the specification numbers its statements.
var statementID = regexp.MustCompile(`MQTT-\d+(?:\.\d+)+-\d+`)

func (p *parser) read(line string) error {
	if line == "" {
		return nil
	}
	if comment, ok := strings.CutPrefix(line, "#"); ok {
		p.script.Shows = addNew(p.script.Shows, statementID.FindAllString(comment, -1)...)
		return nil
	}
	if title, ok := strings.CutPrefix(line, "== "); ok {
		return p.begin(strings.TrimSpace(title))
	}
	if needs, ok := strings.CutPrefix(line, "needs:"); ok {
		return p.need(needs)
	}
	words, err := split(line)
	if err != nil {
		return err
	}
	switch {
	case len(words) == 1 && words[0] == "{":
		if p.group != nil {
			return fmt.Errorf("a group in a group")
		}
		p.group = &step{verb: groups, line: p.line}
		return nil
	case len(words) == 1 && words[0] == "}":
		if p.group == nil || len(p.group.steps) == 0 {
			return fmt.Errorf("this ends no group, or one with nothing in it")
		}
		p.script.steps = append(p.script.steps, *p.group)
		p.group = nil
		return nil
	}
	s, err := p.step(words)
	if err != nil {
		return err
	}
	if p.group == nil {
		p.script.steps = append(p.script.steps, s)
		return nil
	}
	if s.verb != receives || len(s.who) != 1 {
		return fmt.Errorf("in a group, packets are received by one client each, and nothing else happens")
	}
	p.group.steps = append(p.group.steps, s)
	return nil
}

func (p *parser) begin(title string) error {
	if err := p.finish(); err != nil {
		return err
	}
	if len(p.head.steps) > 0 {
		return fmt.Errorf("the steps above belong to no title")
	}
	if title == "" || slices.ContainsFunc(p.scripts, func(s *Script) bool { return s.Title == title }) {
		return fmt.Errorf("the title %q is empty, or another script's", title)
	}
	p.script = &Script{File: p.file, Title: title, Needs: slices.Clone(p.head.Needs), Shows: slices.Clone(p.head.Shows)}
	p.scripts = append(p.scripts, p.script)
	clear(p.vars)
	return nil
}

// finish looks at what has ended: a script or the head of the file.
func (p *parser) finish() error {
	if p.group != nil {
		return fmt.Errorf("the group that begins in line %d does not end", p.group.line)
	}
	if p.script != &p.head && len(p.script.steps) == 0 {
		return fmt.Errorf("the script %q has no step", p.script.Title)
	}
	return nil
}

func (p *parser) need(list string) error {
	if len(p.script.steps) > 0 {
		return fmt.Errorf("what a script needs is said before its first step")
	}
	for word := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		if !slices.Contains(Abilities(), Ability(word)) {
			return fmt.Errorf("there is no ability %q; there are %v", word, Abilities())
		}
		p.script.Needs = addNew(p.script.Needs, Ability(word))
	}
	return nil
}

func addNew[T comparable](list []T, more ...T) []T {
	for _, m := range more {
		if !slices.Contains(list, m) {
			list = append(list, m)
		}
	}
	return list
}
